// The gateway's process.
import { startGateway } from './gateway'

void startGateway()
