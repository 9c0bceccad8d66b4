// DBOS Transact on the workload: a workflow per sequence, which does step 1, waits for `requested`, then for the engagement or the due
// instant, and does step 2 when none came. Every step, message and wait is a durable row in PostgreSQL and survives a crash. No Kafka:
// the workflows are started and told from the same process, as an application of DBOS does. Steps count when their code has run, just
// before DBOS records them, and a window counts as armed when its `requested` is recorded, which is generous.
import { DBOS } from '@dbos-inc/dbos-sdk'
import pg from 'pg'
import { inFlight, main, readArguments, required, Run, sleep, versionOf } from '../protocol.mjs'

/** Starts and messages at a time: more only wait for a connection. */
const callsInFlight = 50
/** Twice the default; its own advice for many workflows at once. */
const poolSize = 20
const daySeconds = 86_400

main(async () => {
  const { n } = readArguments(1_000)
  const notes = 'durable workflow: every step, message and wait is committed to PostgreSQL; history of steps; no Kafka'
  const run = new Run({ name: 'dbos', version: versionOf('@dbos-inc/dbos-sdk', import.meta.url), n, notes })
  const systemDatabaseUrl = required('DATABASE_URL')
  const quiet = { debug() {}, info() {}, warn: (...what) => console.error(...what), error: (...what) => console.error(...what) }
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl, systemDatabasePoolSize: poolSize, logger: quiet })

  const counts = { armed: 0, stopped: 0 }
  const sequence = DBOS.registerWorkflow(async (number) => {
    await DBOS.runStep(async () => run.effected(1, number), { name: 'step-1' })
    const dueAt = await DBOS.recv('requested', daySeconds)
    counts.armed++
    const engagement = await DBOS.recv('engaged', Math.max(0.001, (dueAt - Date.now()) / 1_000))
    if (engagement !== null) counts.stopped++
    else await DBOS.runStep(async () => run.effected(2, number, Date.now() - dueAt), { name: 'step-2' })
  }, { name: 'sequence' })
  await DBOS.launch()

  const idOf = (number) => `sequence-${number}`
  const start = (number) => DBOS.startWorkflow(sequence, { workflowID: idOf(number) })(number)
  const requested = (number, dueAt) => DBOS.send(idOf(number), dueAt, 'requested')

  await run.phase('start', n, () => run.count(1), () => inFlight(run.all, callsInFlight, start))
  const dueAt = run.dueInstant()
  await run.phase('requested', n, () => counts.armed, () => inFlight(run.all, callsInFlight, (number) => requested(number, dueAt)))
  await run.phase('engaged', run.even.length, () => counts.stopped, () =>
    inFlight(run.even, callsInFlight, (number) => DBOS.send(idOf(number), 'viewed', 'engaged')))
  await run.timers(dueAt)
  await run.lateness(async (number, due) => {
    await start(number)
    await requested(number, due)
  })
  await checkEnded(systemDatabaseUrl, run)
  await DBOS.shutdown()
  run.finish()
})

/** What counted in memory must be on record too. */
async function checkEnded(connectionString, run) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  let open = -1
  for (let tries = 0; tries < 100 && open !== 0; tries++) {
    const { rows } = await client.query(`SELECT count(*)::int AS open FROM dbos.workflow_status WHERE status <> 'SUCCESS'`)
    open = rows[0].open
    if (open > 0) await sleep(50)
  }
  await client.end()
  if (open !== 0) run.problems.push(`${open} workflows did not end`)
}
