// BullMQ on the workload: a job for step 1, a delayed job for step 2, removed by an engagement; a worker process does the steps.
// Keeps no history of a sequence, no state beyond the job, and speaks no Kafka; Redis holds it in memory and its append-only file
// reaches the disk each second. `--variant per-step`: one `add` per recipient and step, as Novu does. `--variant bulk`: `addBulk`.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { chunks, inFlight, main, readArguments, required, Run, versionOf } from '../protocol.mjs'

/** Calls at a time: 50 and 1,000 made no clear difference. Automatic pipelining stays off: users of Bull report failing jobs with it. */
const callsInFlight = 200
const bulkSize = 1_000
const bulksInFlight = 2
/** One, two and three were the same within the noise of two cores; more than one is what people run. */
const workerProcesses = 2

main(async () => {
  const { n, variant } = readArguments(20_000, ['per-step', 'bulk'])
  const notes = 'in Redis memory, on disk each second; no history, no Kafka; the caller knows the timers by their ids'
  const run = new Run({ name: `bullmq ${variant}`, version: versionOf('bullmq', import.meta.url), n, notes })
  const redisUrl = required('REDIS_URL')
  const workers = await Promise.all(Array.from({ length: workerProcesses }, () => startWorker(run)))

  const queue = new Queue('steps', { connection: new Redis(redisUrl, { maxRetriesPerRequest: null }) })
  const options = { removeOnComplete: true, removeOnFail: 1_000 }
  const first = (number) => ({ name: 'step-1', data: { number }, opts: options })
  const idOf = (number) => `${number}-step-2`
  const second = (number, dueAt) => ({
    name: 'step-2', data: { number, dueAt }, opts: { ...options, jobId: idOf(number), delay: Math.max(0, dueAt - Date.now()) },
  })
  const add = ({ name, data, opts }) => queue.add(name, data, opts)
  /** Adds the jobs of the numbers, one by one or in bulk, and counts those that Redis has. */
  const addAll = (jobOf, added = () => undefined) => variant === 'bulk'
    ? inFlight(chunks(run.all, bulkSize), bulksInFlight, async (numbers) => added((await queue.addBulk(numbers.map(jobOf))).length))
    : inFlight(run.all, callsInFlight, async (number) => added((await add(jobOf(number))) ? 1 : 0))

  await run.phase('start', run.n, () => run.count(1), () => addAll(first))
  const dueAt = run.dueInstant()
  let armed = 0
  await run.phase('requested', run.n, () => armed, () => addAll((number) => second(number, dueAt), (count) => (armed += count)))
  let stopped = 0
  await run.phase('engaged', run.even.length, () => stopped, () => inFlight(run.even, callsInFlight, async (number) => {
    const removed = await queue.remove(idOf(number))
    stopped += removed
  }))
  await run.timers(dueAt)
  await run.lateness((number, due) => add(second(number, due)))
  await Promise.all(workers.map((worker) => {
    worker.disconnect()
    return once(worker, 'exit')
  }))
  run.finish()
})

async function startWorker(run) {
  const worker = fork(new URL('./worker.mjs', import.meta.url), { serialization: 'advanced' })
  worker.on('exit', (code) => code === 0 || main(() => Promise.reject(new Error(`a worker ended with code ${code}`))))
  await once(worker, 'message')
  worker.on('message', ({ step, numbers, lateMs }) => numbers.forEach((number, index) => run.effected(step, number, lateMs[index])))
  return worker
}
