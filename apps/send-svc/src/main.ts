// Starts send-svc.
import { startService } from '@stepcast/service'
import { AppModule, name } from './app.module'

// 10,000 receivers with 6 kB of variables each.
void startService({ name, module: AppModule, bodies: { json: 64 * 1024 * 1024 } })
