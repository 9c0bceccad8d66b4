// Readiness of an orchestrator that has nothing to do: more processes than partitions, as in a rolling update.
import type { KafkaConnection } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import { eventually, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { AppModule } from './app.module'

let stack: SpecStack
let connection: KafkaConnection
const services: RunningService[] = []

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
})
afterAll(async () => {
  for (const service of services) await service.stop()
  await stack?.stop()
})

it('a process that has joined and was given no partition, because others have them all, is ready', async () => {
  while (services.length <= specPartitions)
    services.push(await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false }))
  const admin = await connection.admin()
  await eventually(
    async () => {
      const { state, members } = (await admin.describeGroups([connection.physical('orchestrator')])).groups[0]!
      return state === 'Stable' && members.length === services.length
    },
    { withinMs: 60_000 },
  )
  await eventually(
    async () => (await Promise.all(services.map(async ({ url }) => (await fetch(`${url}/readyz`)).ok))).every((ready) => ready),
    { withinMs: 60_000 },
  )
}, 180_000)
