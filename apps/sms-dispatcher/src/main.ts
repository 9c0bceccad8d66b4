// Starts sms-dispatcher.
import { startDispatcher } from '@stepcast/channel'
import { smsDispatcher } from './dispatch'

void startDispatcher(smsDispatcher)
