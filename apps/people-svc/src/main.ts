// Starts people-svc.
import { startService } from '@stepcast/service'
import { AppModule } from './app.module'

void startService({ name: 'people-svc', module: AppModule })
