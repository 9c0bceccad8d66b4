// The worker process: takes steps from the queue and tells its parent which took effect.
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'

/** Jobs at a time: each is one script in Redis, so this hides the round trip; 20 and 400 were no faster. */
const concurrency = 100
/** The parent is told this often, so that telling costs nothing beside the work. */
const tellEveryMs = 20

let effects = { 'step-1': [], 'step-2': [] }

const worker = new Worker('steps', async ({ name, data }) => {
  effects[name].push([data.number, name === 'step-2' ? Date.now() - data.dueAt : 0])
}, { connection: new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null }), concurrency })
worker.on('error', (error) => console.error(error))
await worker.waitUntilReady()
process.send('ready')

setInterval(() => {
  const told = effects
  effects = { 'step-1': [], 'step-2': [] }
  for (const [name, list] of Object.entries(told)) {
    if (list.length === 0) continue
    process.send({ step: Number(name.slice(-1)), numbers: list.map(([number]) => number), lateMs: list.map(([, lateMs]) => lateMs) })
  }
}, tellEveryMs)

process.on('disconnect', () => process.exit(0))
