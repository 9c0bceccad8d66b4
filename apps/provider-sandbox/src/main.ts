// Runs the provider sandbox: FCM, APNs, Twilio and Solapi, with a log of arrivals, faults and phones.
import { startSandbox } from './start'

void startSandbox(process.env)
