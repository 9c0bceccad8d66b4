// pg-boss on the workload: a job for step 1, a deferred job for step 2, cancelled by an engagement. Keeps no history of a sequence,
// no state beyond the job, and speaks no Kafka; every call is one committed PostgreSQL statement. `--variant batched`: the caller has
// thousands in its hands and inserts, fetches and deletes them as such. `--variant per-call`: one call per recipient, 10 in flight.
import { randomUUID } from 'node:crypto'
import { PgBoss } from 'pg-boss'
import { chunks, inFlight, main, readArguments, required, Run, sleep, versionOf } from '../protocol.mjs'

/** Jobs per statement of the batched variant. */
const batchSize = 2_000
/** Batched calls at a time: PostgreSQL works on one while Node prepares the other. */
const batchesInFlight = 2
/** How often the batched variant looks when nothing was due. A worker of pg-boss itself may not look more often than each 500 ms. */
const idleMs = 100
const callsInFlight = 10

const step1 = 'step-1'
const step2 = 'step-2'

main(async () => {
  const { n, variant } = readArguments(10_000, ['batched', 'per-call'])
  const notes = 'PostgreSQL commits every call; no history, no Kafka; the caller keeps the ids of the timers'
  const run = new Run({ name: `pg-boss ${variant}`, version: versionOf('pg-boss', import.meta.url), n, notes })
  const boss = new PgBoss({ connectionString: required('DATABASE_URL'), max: callsInFlight + 2 })
  boss.on('error', (error) => console.error(error))
  await boss.start()
  // Not `notify: true`: a notification per send wakes the worker for a handful of jobs each time, and starts fell to a third.
  await boss.createQueue(step1)
  await boss.createQueue(step2)
  await (variant === 'batched' ? batched(boss, run) : perCall(boss, run))
  await boss.stop({ graceful: false })
  run.finish()
})

async function batched(boss, run) {
  let stopping = false
  // A fetched job is active until it is deleted, so a crash hands it out again: at least once.
  const drain = async (queue, step) => {
    while (!stopping) {
      const jobs = await boss.fetch(queue, { batchSize })
      for (const { data } of jobs) run.effected(step, data.number, step === 2 ? Date.now() - data.dueAt : 0)
      if (jobs.length > 0) await boss.deleteJob(queue, jobs.map(({ id }) => id))
      if (jobs.length < batchSize) await sleep(idleMs)
    }
  }
  const workers = Array.from({ length: batchesInFlight }, () => [drain(step1, 1), drain(step2, 2)]).flat()
  const each = (numbers, work) => inFlight(chunks(numbers, batchSize), batchesInFlight, work)

  await run.phase('start', run.n, () => run.count(1), () => each(run.all, (numbers) =>
    boss.insert(step1, numbers.map((number) => ({ data: { number } })))))

  const ids = run.all.map(() => randomUUID())
  const dueAt = run.dueInstant()
  const startAfter = new Date(dueAt).toISOString()
  let armed = 0
  await run.phase('requested', run.n, () => armed, () => each(run.all, async (numbers) => {
    await boss.insert(step2, numbers.map((number) => ({ id: ids[number], data: { number, dueAt }, startAfter })))
    armed += numbers.length
  }))
  let stopped = 0
  await run.phase('engaged', run.even.length, () => stopped, () => each(run.even, async (numbers) => {
    const { affected } = await boss.deleteJob(step2, numbers.map((number) => ids[number]))
    stopped += affected
  }))
  await run.timers(dueAt)
  await run.lateness((number, due) => boss.insert(step2, [{ data: { number, dueAt: due }, startAfter: new Date(due).toISOString() }]))
  stopping = true
  await Promise.all(workers)
}

async function perCall(boss, run) {
  // The worker as its manual shows it for a busy queue: batches, at once again while they come back full.
  const options = { batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
  await boss.work(step1, options, async (jobs) => jobs.forEach(({ data }) => run.effected(1, data.number)))
  await boss.work(step2, options, async (jobs) => jobs.forEach(({ data }) => run.effected(2, data.number, Date.now() - data.dueAt)))

  await run.phase('start', run.n, () => run.count(1), () => inFlight(run.all, callsInFlight, (number) => boss.send(step1, { number })))

  const ids = []
  const arm = async (number, dueAt) => {
    ids[number] = await boss.send(step2, { number, dueAt }, { startAfter: new Date(dueAt) })
  }
  const dueAt = run.dueInstant()
  let armed = 0
  await run.phase('requested', run.n, () => armed, () => inFlight(run.all, callsInFlight, async (number) => {
    await arm(number, dueAt)
    armed++
  }))
  let stopped = 0
  await run.phase('engaged', run.even.length, () => stopped, () => inFlight(run.even, callsInFlight, async (number) => {
    const { affected } = await boss.cancel(step2, ids[number])
    stopped += affected
  }))
  await run.timers(dueAt)
  await run.lateness(arm)
}
