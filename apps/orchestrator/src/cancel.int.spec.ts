// Cancelling with real processes: two orchestrators, send-svc and metrics-svc, also while one of them stands still or dies.
import { Client } from 'pg'
import { messageIdOf, parseMessageId, sequenceIdOf, topics, type CancelRequested, type SequenceChanged } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { contextHeader, contextKey, signContext } from '@stepcast/service'
import {
  approveTwoSteps,
  eventually,
  produceSends,
  sendRequested,
  SpecProcesses,
  specStack,
  turnsOf,
  watchTopic,
  type SpecProcess,
  type SpecStack,
  type WatchedTopic,
} from '@stepcast/testing'

let stack: SpecStack
let connection: KafkaConnection
let processes: SpecProcesses
/** The one that is called, and another. */
let orchestrator: SpecProcess
let other: SpecProcess
let sendSvc: SpecProcess
let metrics: SpecProcess
let database: Client
let watched: { sequences: WatchedTopic<'SequenceChanged'>; inApp: WatchedTopic<'DispatchStep'>; push: WatchedTopic<'DispatchStep'> }

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  processes = new SpecProcesses(stack)
  const [sequences, inApp, push] = await Promise.all([
    watchTopic(connection, topics.sequences),
    watchTopic(connection, topics.inAppCommands),
    watchTopic(connection, topics.pushCommands),
  ])
  watched = { sequences, inApp, push }
  ;[orchestrator, metrics] = await Promise.all([processes.start('orchestrator'), processes.start('metrics-svc')])
  ;[other, sendSvc] = await Promise.all([
    processes.start('orchestrator', { name: 'orchestrator-2' }),
    processes.start('send-svc', { env: { ORCHESTRATOR_URL: orchestrator.url, METRICS_SVC_URL: metrics.url } }),
  ])
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  await gateFanOut()
  // Nobody answers commands here: whatever ends, ends by its cancel.
  await approveTwoSteps(connection, 'news', 1440)
  await bothOwn()
}, 120_000)
afterAll(async () => {
  await database?.end()
  await processes?.stop()
  await stack?.stop()
})

// ── What a caller does ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Answer {
  readonly status: number
  readonly body: any
}

async function call(method: string, url: string, body?: object, workspaceId = 'w'): Promise<Answer> {
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET!), {
    workspaceId,
    scopes: ['read', 'send', 'admin', 'internal'],
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(url, {
    method,
    headers: { [contextHeader]: context, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

interface Sent {
  readonly sendId: string
  readonly ids: ReadonlySet<string>
}

/** `POST /v1/sends` for so many people; answers the sendId and the sequenceIds. */
async function sendTo(people: number): Promise<Sent> {
  const users = Array.from({ length: people }, (_, n) => `user-${n}`)
  const receivers = users.map((userId) => ({ userId }))
  const { status, body } = await call('POST', `${sendSvc.url}/v1/sends`, { templateId: 'news', receivers })
  expect({ status, accepted: body.accepted }).toEqual({ status: 202, accepted: people })
  return { sendId: body.sendId, ids: new Set(users.map((userId) => sequenceIdOf('w', body.sendId, userId))) }
}

const cancelSend = (sendId: string): Promise<Answer> => call('POST', `${sendSvc.url}/v1/sends/${sendId}/cancel`)

const requestCancel = async (cancel: Partial<CancelRequested>): Promise<void> =>
  (await connection.producer()).send(topics.controls, [
    {
      key: 'w',
      value: { cancelId: 'c', workspaceId: 'w', scope: 'send', id: 's', requestedBy: 'spec', requestedAt: Date.now(), ...cancel },
    },
  ])

/** Starts sequences over Kafka and waits until each is commanded. */
async function commanded(sendId: string, users: readonly string[], more = {}): Promise<string[]> {
  await produceSends(
    connection,
    users.map((userId) => sendRequested('news', sendId, userId, more)),
  )
  const ids = users.map((userId) => sequenceIdOf('w', sendId, userId))
  await eventually(() => ids.every((id) => messagesOf('send').has(messageIdOf(id, 1, 'in_app'))))
  return ids
}

// ── What the topics and the database tell ─────────────────────────────────────────────────────────────────────────────────

const total = async (topicName: string): Promise<number> =>
  [...(await connection.endOffsets(topicName)).values()].reduce((sum, end) => sum + end, 0)

// While the spec holds this lock, the fan-out of a send stops when half of it is on the topic.
const gate = 4711

async function gateFanOut(): Promise<void> {
  await database.query(`
    CREATE FUNCTION stop_at_half() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF OLD.position = (SELECT recipients / 2 FROM send_svc.sends WHERE number = OLD.send_number) THEN
        PERFORM pg_advisory_xact_lock_shared(${gate});
      END IF;
      RETURN OLD;
    END $$;
    CREATE TRIGGER gate BEFORE DELETE ON send_svc.receivers FOR EACH ROW WHEN (OLD.position % 500 = 0) EXECUTE FUNCTION stop_at_half()`)
}

/**
 * Sends to so many people, stops the fan-out at half of them, and cancels when most of these have started and the rest is under
 * way. The other half goes on meanwhile, or once that is answered.
 */
async function cancelledHalfway<T>(
  people: number,
  goesOn: 'meanwhile' | 'afterwards',
  cancelling: (sendId: string) => Promise<T>,
): Promise<Sent & { answer: T }> {
  await database.query('SELECT pg_advisory_lock($1)', [gate])
  try {
    let sent!: Sent
    await started(people * 0.4, async () => (sent = await sendTo(people)))
    const answering = cancelling(sent.sendId)
    if (goesOn === 'afterwards') await answering
    // On a slow machine the other half would be through before the cancel is there.
    else
      await eventually(async () => (await database.query('SELECT FROM cancels WHERE id = $1', [sent.sendId])).rowCount === 1, {
        everyMs: 5,
      })
    await database.query('SELECT pg_advisory_unlock($1)', [gate])
    return { ...sent, answer: await answering }
  } finally {
    await database.query('SELECT pg_advisory_unlock_all()')
  }
}

/** Both orchestrators are members and every partition has an owner. */
async function bothOwn(): Promise<void> {
  const admin = await connection.admin()
  await eventually(async () => {
    const { state, members } = (await admin.describeGroups([connection.physical('orchestrator')])).groups[0]!
    return state === 'Stable' && members.length === 2
  })
}

/** The end of every commands topic now. */
async function commandEnds(): Promise<Map<string, number>> {
  const ends = new Map<string, number>()
  for (const { name } of [topics.inAppCommands, topics.pushCommands]) {
    for (const [partition, end] of await connection.endOffsets(name)) ends.set(`${name} ${partition}`, end)
  }
  return ends
}

const commandRecords = () => [
  ...watched.inApp.records.map((record) => ({ record, topic: topics.inAppCommands.name })),
  ...watched.push.records.map((record) => ({ record, topic: topics.pushCommands.name })),
]

/** Messages commanded for the first time after these ends. */
function commandedAfter(ends: ReadonlyMap<string, number>): string[] {
  const before = new Set<string>()
  const after: string[] = []
  for (const {
    record: { partition, offset, value },
    topic,
  } of commandRecords()) {
    if (value!.action !== 'send') continue
    if (offset < ends.get(`${topic} ${partition}`)!) before.add(value!.messageId)
    else after.push(value!.messageId)
  }
  return after.filter((messageId) => !before.has(messageId))
}

const messagesOf = (wanted: 'send' | 'withdraw'): Set<string> =>
  new Set(
    watched.inApp
      .values()
      .filter(({ action }) => action === wanted)
      .map(({ messageId }) => messageId),
  )

/** The changes of these sequences, each once, whatever was published again. */
function changesOf(ids: ReadonlySet<string>): Map<string, SequenceChanged[]> {
  const changes = new Map<string, SequenceChanged[]>()
  const seen = new Set<string>()
  for (const change of watched.sequences.values()) {
    const place = `${change.logPartition} ${change.logPosition}`
    if (!ids.has(change.sequenceId) || seen.has(place)) continue
    seen.add(place)
    changes.set(change.sequenceId, [...(changes.get(change.sequenceId) ?? []), change])
  }
  return changes
}

/** Waits until every one of these has ended and all that was published is seen; answers each one's events in one line. */
async function fates(ids: ReadonlySet<string>): Promise<Map<string, string>> {
  await eventually(
    () => {
      const ended = [...changesOf(ids).values()].filter((changes) => changes.some(({ events }) => events.some(isEnd))).length
      if (ended < ids.size) throw new Error(`${ended} of ${ids.size} sequences have ended`)
      return true
    },
    { withinMs: 60_000, everyMs: 250 },
  )
  const { sequences, inApp, push } = watched
  for (const [topic, { records }] of [
    [topics.sequences, sequences],
    [topics.inAppCommands, inApp],
    [topics.pushCommands, push],
  ] as const) {
    const end = await total(topic.name)
    await eventually(() => records.length >= end)
  }
  return new Map([...changesOf(ids)].map(([id, changes]) => [id, changes.flatMap(({ events }) => events.map(told)).join(' ')]))
}

type Event = SequenceChanged['events'][number]

const isEnd = ({ type }: Event): boolean => type === 'SequenceEnded'

const told = (event: Event): string => (event.type === 'SequenceEnded' ? `${event.type}(${event.outcome})` : event.type)

const bornCancelled = 'SequenceStarted SequenceEnded(cancelled)'
const cancelledInStep = 'SequenceStarted StepCommanded StepEnded SequenceEnded(cancelled)'

/** Every sequence either was commanded before and is withdrawn, or entered no step. Answers how many of each. */
async function expectAllCancelled(ids: ReadonlySet<string>): Promise<{ early: number; late: number }> {
  const ended = await fates(ids)
  const early = [...ended].filter(([, fate]) => fate === cancelledInStep).map(([id]) => id)
  const late = [...ended].filter(([, fate]) => fate === bornCancelled)
  expect(early.length + late.length).toBe(ids.size)
  const wanted = early.map((id) => messageIdOf(id, 1, 'in_app'))
  const ours = (messageIds: Set<string>): string[] =>
    [...messageIds].filter((messageId) => ids.has(parseMessageId(messageId)!.sequenceId)).sort()
  expect(ours(messagesOf('send'))).toEqual([...wanted].sort())
  expect(ours(messagesOf('withdraw'))).toEqual([...wanted].sort())
  return { early: early.length, late: late.length }
}

/** When the last step of these was commanded, by the database's clock. */
const lastCommandedAt = (ids: ReadonlySet<string>): number =>
  Math.max(
    0,
    ...[...changesOf(ids).values()]
      .flat()
      .filter(({ events }) => events.some(({ type }) => type === 'StepCommanded'))
      .map(({ recordedAt }) => recordedAt),
  )

/** Waits until so many sequences more have started. */
async function started(more: number, work: () => Promise<unknown>): Promise<void> {
  const before = await total(topics.sequences.name)
  await work()
  await eventually(async () => (await total(topics.sequences.name)) - before >= more, { everyMs: 5 })
}

// ── What must hold ────────────────────────────────────────────────────────────────────────────────────────────────────────

it('10,000 cancelled when half is fanned out: once answered nothing is commanded, late children are born cancelled, all end', async () => {
  let ends!: Map<string, number>
  let [askedAt, answeredAt] = [0, 0]
  const { answer, ...sent } = await cancelledHalfway(10_000, 'meanwhile', async (sendId) => {
    askedAt = Date.now()
    const answered = await cancelSend(sendId)
    answeredAt = Date.now()
    ends = await commandEnds()
    return answered
  })
  expect(answer).toEqual({ status: 200, body: { sendId: sent.sendId, cancelled: true } })
  const { early, late } = await expectAllCancelled(sent.ids)
  expect(commandedAfter(ends)).toEqual([])
  expect(lastCommandedAt(sent.ids)).toBeLessThanOrEqual(answeredAt)
  // It was cancelled in the middle, or this proves nothing.
  expect(early).toBeGreaterThan(0)
  expect(late).toBeGreaterThan(0)
  await eventually(async () => {
    const { body } = await call('GET', `${sendSvc.url}/v1/sends/${sent.sendId}`)
    const outcomes = { running: 0, stopped: 0, exhausted: 0, unreachable: 0, cancelled: 10_000 }
    expect(body).toMatchObject({ recipients: 10_000, outcomes })
    return true
  })
  expect(await cancelSend(sent.sendId)).toEqual(answer)
  console.info(`cancel of 10,000: answered after ${answeredAt - askedAt} ms; ${early} were commanded before, ${late} born cancelled`)
})

it('CancelRequested on the topic does the same; a known cancelId is ignored, whatever it names', async () => {
  const cancelId = 'by-record'
  const { answer: takenUpAt, ...sent } = await cancelledHalfway(4_000, 'afterwards', async (id) => {
    await requestCancel({ cancelId, id })
    const isRecorded = async (): Promise<boolean> =>
      (await database.query('SELECT FROM cancels WHERE cancel_id = $1', [cancelId])).rowCount === 1
    await eventually(isRecorded, { everyMs: 5 })
    return Date.now()
  })
  const { early, late } = await expectAllCancelled(sent.ids)
  // A turn that had not seen it had locked its cursor, and so taken its time, before.
  expect(lastCommandedAt(sent.ids)).toBeLessThanOrEqual(takenUpAt)
  expect(early).toBeGreaterThan(0)
  expect(late).toBeGreaterThan(0)

  const [goesOn] = await commanded('another', ['u'])
  await requestCancel({ cancelId, id: sent.sendId })
  await requestCancel({ cancelId, id: 'another' })
  // The next one on the topic is taken up, so those before it have been.
  const [lastOne] = await commanded('the-last', ['u'])
  await requestCancel({ cancelId: 'after-it', id: 'the-last' })
  await fates(new Set([lastOne!]))
  expect((await call('GET', `${orchestrator.url}/v1/sequences/${goesOn}`)).body.state).toBe('running')
})

const cancelOf = (id: string, workspaceId?: string): Promise<Answer> =>
  call('POST', `${orchestrator.url}/v1/sequences/${id}/cancel`, {}, workspaceId)

it('one sequence is cancelled alone; asking again is answered alike; those of others are not there', async () => {
  const [cancelled, goesOn] = await commanded('pair', ['a', 'b'])
  expect((await cancelOf(cancelled!, 'stranger')).status).toBe(404)
  const answer = await cancelOf(cancelled!)
  expect(answer).toEqual({ status: 200, body: { sequenceId: cancelled, cancelled: true } })
  expect(await cancelOf(cancelled!)).toEqual(answer)
  await expectAllCancelled(new Set([cancelled!]))
  expect((await call('GET', `${orchestrator.url}/v1/sequences/${goesOn}`)).body.state).toBe('running')
  expect((await cancelOf('no-uuid')).status).toBe(404)
  expect((await call('POST', `${sendSvc.url}/v1/sends/pair/cancel`, {}, 'stranger')).status).toBe(404)
  expect((await call('GET', `${orchestrator.url}/v1/sequences/${goesOn}`)).body.state).toBe('running')
})

it('what nobody knows is cancelled all the same: 404 says so, and should it come it is born cancelled', async () => {
  const soon = sequenceIdOf('w', 'not-yet', 'somebody')
  const notYet = { status: 404, body: { detail: expect.stringContaining('should it come within 24 hours, it is born cancelled') } }
  expect(await cancelOf(soon)).toMatchObject(notYet)
  expect(await cancelSend('not-yet-either')).toMatchObject(notYet)
  await produceSends(connection, [sendRequested('news', 'not-yet', 'somebody'), sendRequested('news', 'not-yet-either', 'somebody')])
  const ids = new Set([soon, sequenceIdOf('w', 'not-yet-either', 'somebody')])
  expect([...(await fates(ids)).values()]).toEqual([bornCancelled, bornCancelled])
  // Now it is known, and asking again is answered.
  expect((await cancelOf(soon)).status).toBe(200)
})

it('a workspace may cancel 10,000 unknown ids within a day; then 429 says so, and what is there is cancelled as ever', async () => {
  await database.query('DELETE FROM tombstones WHERE NOT seen')
  await database.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at, seen) SELECT 'w', 'send', 'unknown ' || n, 0, false FROM generate_series(1, 9999) AS n`,
  )
  expect((await cancelSend('the-last-unknown')).status).toBe(404)
  expect(await cancelSend('one-more')).toMatchObject({ status: 429, body: { detail: expect.stringContaining('10000') } })
  const [there] = await commanded('there', ['u'])
  expect((await cancelOf(there!)).status).toBe(200)
  expect((await call('POST', `${sendSvc.url}/v1/sends/there/cancel`)).status).toBe(200)
  await database.query('DELETE FROM tombstones WHERE NOT seen')
})

/** Cancels a send that was just written to Kafka: whatever the moment, it is known, and nothing of it is commanded once that is answered. */
async function cancelledJustMade(sendId: string, afterMs: number): Promise<void> {
  await produceSends(connection, [sendRequested('news', sendId, 'u')])
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  const answer = await cancelSend(sendId)
  const ends = await commandEnds()
  expect({ afterMs, ...answer }).toEqual({ afterMs, status: 200, body: { sendId, cancelled: true } })
  const id = sequenceIdOf('w', sendId, 'u')
  const [fate] = (await fates(new Set([id]))).values()
  expect([bornCancelled, cancelledInStep]).toContain(fate)
  expect(commandedAfter(ends).filter((messageId) => messageId.startsWith(id))).toEqual([])
}

it('a send of a Kafka producer is cancelled at any moment after it is written, also while metrics-svc stands still', async () => {
  for (const afterMs of [0, 0, 20, 60, 150]) await cancelledJustMade(`just-made-${afterMs}-${Math.random()}`, afterMs)
  metrics.kill('SIGSTOP')
  try {
    for (const afterMs of [0, 20, 60]) await cancelledJustMade(`unmeasured-${afterMs}`, afterMs)
  } finally {
    metrics.kill('SIGCONT')
  }
})

it('a sequence named in the answer to a send of 10,000 is cancelled before it is fanned out', async () => {
  const sent = await sendTo(10_000)
  const id = sequenceIdOf('w', sent.sendId, 'user-99')
  expect(await cancelOf(id)).toEqual({ status: 200, body: { sequenceId: id, cancelled: true } })
  expect([bornCancelled, cancelledInStep]).toContain([...(await fates(new Set([id]))).values()][0])
  await cancelSend(sent.sendId)
})

it('a cancelled person: what was there by then ends, whatever clock its producer has; what comes afterwards is sent, likewise', async () => {
  const running = [
    ...(await commanded('one', ['ada'])),
    ...(await commanded('ahead', ['ada'], { requestedAt: Date.now() + 3_600_000 })),
    ...(await commanded('behind', ['ada'], { requestedAt: Date.now() - 3_600_000 })),
  ]
  const [somebodyElse] = await commanded('one', ['bob'])
  const ofAda = { cancelId: 'of-ada', scope: 'user', id: 'ada', requestedBy: 'spec' }
  const before = Date.now()
  const { status } = await call('POST', `${orchestrator.url}/internal/cancels`, ofAda)
  expect(status).toBe(200)
  await expectAllCancelled(new Set(running))
  // Accepted by our own API before, fanned out after.
  const lateId = sequenceIdOf('w', 'fanned-out-late', 'ada')
  await produceSends(connection, [sendRequested('news', 'fanned-out-late', 'ada', { source: 'http', requestedAt: before - 1_000 })])
  expect([...(await fates(new Set([lateId]))).values()]).toEqual([bornCancelled])
  // She comes back: also to producers whose clock is behind, or counts in seconds since yesterday.
  await commanded('back-1', ['ada'])
  await commanded('back-2', ['ada'], { requestedAt: before - 60_000 })
  await commanded('back-3', ['ada'], { requestedAt: Math.floor(before / 1_000) })
  await commanded('back-4', ['ada'], { source: 'http' })
  expect((await call('GET', `${orchestrator.url}/v1/sequences/${somebodyElse}`)).body.state).toBe('running')
})

it('a send that was on the topic before its person was cancelled is covered, though it is read, sent home or replayed after it', async () => {
  const producer = await connection.producer()
  const cleanUp = Array.from({ length: 6 }, (_, n) => `waiting-${n}`)
  const locker = new Client({ connectionString: stack.databaseUrl })
  await locker.connect()
  // More than are read at once: from here on each turn looks for its own.
  await database.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at) SELECT 'x', 'user', 'u' || n, 0 FROM generate_series(1, 600) AS n`,
  )
  // No turn goes on, so nothing more is read; yet a cancel is recorded.
  await locker.query('BEGIN; LOCK TABLE orchestrator.sequences IN ACCESS EXCLUSIVE MODE')
  await produceSends(
    connection,
    cleanUp.map((sendId) => sendRequested('news', sendId, 'eve', { requestedAt: Date.now() + 120_000 })),
  )
  const place = [...(await connection.endOffsets(topics.sends.name))].find(([, end]) => end > 0)!
  await requestCancel({ cancelId: 'of-eve', scope: 'user', id: 'eve' })
  await eventually(async () => (await database.query(`SELECT FROM cancels WHERE cancel_id = 'of-eve'`)).rowCount === 1)
  await locker.query('COMMIT')
  await locker.end()
  const ids = new Set(cleanUp.map((sendId) => sequenceIdOf('w', sendId, 'eve')))
  expect([...(await fates(ids)).values()]).toEqual(cleanUp.map(() => bornCancelled))
  const replayed = sendRequested('news', 'replayed', 'eve')
  await producer.send(topics.sends, [
    {
      key: 'any',
      value: replayed,
      headers: { 'origin-topic': topics.sends.name, 'origin-partition': String(place[0]), 'origin-offset': String(place[1] - 1) },
    },
  ])
  expect([...(await fates(new Set([sequenceIdOf('w', 'replayed', 'eve')]))).values()]).toEqual([bornCancelled])
})

it('while an orchestrator stands still inside its transaction a cancel is answered, and nothing is commanded after', async () => {
  const locker = new Client({ connectionString: stack.databaseUrl })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE orchestrator.timers IN ACCESS EXCLUSIVE MODE')
  const sent = await sendTo(3_000)
  await eventually(async () => (await turnsOf(database, other)).some(({ wait_event_type }) => wait_event_type === 'Lock'), { everyMs: 10 })
  other.kill('SIGSTOP')
  const stoppedAt = Date.now()
  try {
    await locker.query('COMMIT')
    await locker.end()
    const answer = await cancelSend(sent.sendId)
    const tookMs = Date.now() - stoppedAt
    const ends = await commandEnds()
    expect(answer.status).toBe(200)
    await expectAllCancelled(sent.ids)
    expect(commandedAfter(ends)).toEqual([])
    other.kill('SIGCONT')
    await bothOwn()
    // It takes part again, and what it had in hand when it was stopped comes to nothing.
    await commanded(
      'after-the-stop',
      Array.from({ length: 30 }, (_, n) => `user-${n}`),
    )
    const ours = new Set([...sent.ids].map((id) => messageIdOf(id, 1, 'in_app')))
    expect(commandedAfter(ends).filter((messageId) => ours.has(messageId))).toEqual([])
    console.info(`cancel with an orchestrator stopped in its transaction: answered after ${tookMs} ms`)
    expect(tookMs).toBeLessThan(25_000)
  } finally {
    other.kill('SIGCONT')
  }
})

it('a send of a Kafka producer is cancelled while an orchestrator restarts', async () => {
  await bothOwn()
  const restarting = other.stop().then(() => other.start())
  for (const n of [1, 2, 3]) await cancelledJustMade(`while-restarting-${n}`, 0)
  await restarting
})

it('an orchestrator killed in the middle of it: the cancel is answered, everything ends, nothing is commanded after', async () => {
  let sent!: Sent
  await bothOwn()
  await started(1_000, async () => (sent = await sendTo(4_000)))
  const askedAt = Date.now()
  const answering = cancelSend(sent.sendId)
  other.kill('SIGKILL')
  const answer = await answering
  const tookMs = Date.now() - askedAt
  const ends = await commandEnds()
  expect(answer.status).toBe(200)
  const { early, late } = await expectAllCancelled(sent.ids)
  expect(commandedAfter(ends)).toEqual([])
  console.info(`cancel with an orchestrator killed: answered after ${tookMs} ms; ${early} were commanded before, ${late} born cancelled`)
})
