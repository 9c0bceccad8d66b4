// Starts messenger-dispatcher.
import { startDispatcher } from '@stepcast/channel'
import { messengerDispatcher } from './dispatch'

void startDispatcher(messengerDispatcher)
