// Runs metrics-svc: folds what sequences did into counts, and answers how templates, sends and campaigns did.
import 'reflect-metadata'
import { startService } from '@stepcast/service'
import { AppModule, serviceName } from './app.module'

void startService({ name: serviceName, module: AppModule }).catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
