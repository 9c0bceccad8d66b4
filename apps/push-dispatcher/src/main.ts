// Starts push-dispatcher.
import { startDispatcher } from '@stepcast/channel'
import { pushDispatcher } from './dispatch'

void startDispatcher(pushDispatcher)
