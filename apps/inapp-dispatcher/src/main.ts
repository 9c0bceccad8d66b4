// Runs inapp-dispatcher: puts messages into people's feeds, serves the feeds, and reports what people did with them.
import 'reflect-metadata'
import { startService } from '@stepcast/service'
import { AppModule } from './app.module'
import { serviceName } from './dispatch'

void startService({ name: serviceName, module: AppModule }).catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
