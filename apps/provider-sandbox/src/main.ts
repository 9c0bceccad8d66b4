// Runs the provider sandbox: FCM on one address, with a log of arrivals, faults and phones.
import { startSandbox } from './start'

void startSandbox(process.env)
