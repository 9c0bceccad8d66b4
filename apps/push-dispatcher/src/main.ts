// Starts push-dispatcher.
import { startService } from '@stepcast/service'
import { AppModule } from './app.module'

void startService({ name: 'push-dispatcher', module: AppModule })
