// Starts template-svc.
import { startService } from '@stepcast/service'
import { AppModule } from './app.module'

void startService({ name: 'template-svc', module: AppModule })
