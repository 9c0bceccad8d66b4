// Starts the orchestrator.
import 'reflect-metadata'
import { startService } from '@stepcast/service'
import { AppModule } from './app.module'

startService({ name: 'orchestrator', module: AppModule }).catch((error: Error) => {
  console.error(error)
  process.exit(1)
})
