// Starts send-svc.
import { startService } from '@stepcast/service'
import { AppModule, name } from './app.module'

void startService({ name, module: AppModule })
