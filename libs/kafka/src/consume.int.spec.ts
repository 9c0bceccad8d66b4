import { encodeRecord, InstallationError, topics, type CancelRequested, type Topic } from '@stepcast/contracts'
import { eventually, specStack, watchDeadLetters, type SpecStack, type WatchedDeadLetters } from '@stepcast/testing'
import { consumeRecords, type ConsumeOptions, type RunningConsumer } from './index'

let stack: SpecStack
let dead: WatchedDeadLetters
const consumers: RunningConsumer[] = []
beforeAll(async () => {
  stack = await specStack(__filename)
  dead = await watchDeadLetters(stack.connection())
})
afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.stop()))
})
afterAll(() => stack.stop())

// Every spec has a topic of its own; all of them carry small records.
const carrier = (name: string): Topic<'CancelRequested'> => ({ ...topics.controls, name })

const cancel = (n: number): CancelRequested => ({
  cancelId: String(n),
  workspaceId: 'w',
  scope: 'send',
  id: 's',
  requestedBy: 'spec',
  requestedAt: 1,
})

async function write(topic: Topic, numbers: readonly number[], partition = 0): Promise<void> {
  const connection = stack.connection()
  const schemaId = await connection.registry.writerIdOf(topics.controls)
  await (await connection.producer()).sendRaw(
    topic.name,
    numbers.map((n) => ({ key: String(n), value: encodeRecord('CancelRequested', schemaId, cancel(n)), partition })),
  )
}

interface Seen {
  readonly partition: number
  readonly n: number
  readonly at: number
}

/** Consumes; `fails` says what the handler throws for numbers, before it takes any of them. */
async function consume(
  topic: Topic<'CancelRequested'>,
  fails: (numbers: readonly number[], partition: number) => Error | null,
  more: Partial<ConsumeOptions<'CancelRequested'>> = {},
): Promise<{
  seen: Seen[]
  numbers: (partition?: number) => number[]
  next: Map<number, number>
  calls: () => number
  consumer: RunningConsumer
}> {
  const seen: Seen[] = []
  const next = new Map<number, number>()
  let calls = 0
  const consumer = await consumeRecords(stack.connection(), {
    topic,
    groupId: `spec-${topic.name}`,
    ...more,
    handle: async (records, { partition, nextOffset }) => {
      calls++
      const numbers = records.map(({ value }) => Number(value!.cancelId))
      const error = fails(numbers, partition)
      if (error) throw error
      seen.push(...numbers.map((n) => ({ partition, n, at: Date.now() })))
      next.set(partition, nextOffset)
    },
  })
  consumers.push(consumer)
  return {
    seen,
    next,
    calls: () => calls,
    consumer,
    numbers: (partition = 0) => seen.filter((one) => one.partition === partition).map(({ n }) => n),
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const bug = new TypeError("cannot read properties of undefined (reading 'Ada Lovelace')")
const outage = (): Error => Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' })
const failsFor =
  (bad: readonly number[]) =>
  (numbers: readonly number[]): Error | null =>
    numbers.some((n) => bad.includes(n)) ? bug : null
const lettersOf = (topic: Topic): string[] =>
  dead.letters.filter(({ headers }) => headers.topic === topic.name).map(({ headers }) => `${headers.offset} ${headers.reason}`)
const inTime = { withinMs: 60_000 }

it('one record among 2,000 that its handler cannot work off goes aside; its neighbours are handled once each, in order', async () => {
  const topic = carrier('stepcast.sends.v1')
  await write(topic, upTo(2_000))
  const { numbers, next, calls } = await consume(topic, failsFor([1_234]))
  await eventually(() => numbers().length >= 1_999, inTime)
  expect(numbers()).toEqual(upTo(2_000).filter((n) => n !== 1_234))
  await eventually(() => lettersOf(topic).length > 0)
  expect(lettersOf(topic)).toEqual(['1234 unprocessable'])
  expect(next.get(0)).toBe(2_000)
  expect(calls()).toBeLessThan(60)
  const [letter] = dead.letters.filter(({ headers }) => headers.topic === topic.name)
  expect(letter).toMatchObject({ key: '1234', headers: { partition: '0', detail: 'failed three times with TypeError' } })
  expect(letter!.value!.length).toBeGreaterThan(5)
})

it('two that stand together go aside, also at the end of the topic: who keeps the offset moves past them', async () => {
  const topic = carrier('stepcast.engagements.v1')
  await write(topic, upTo(100))
  const { numbers, next } = await consume(topic, failsFor([50, 51, 98, 99]))
  await eventually(() => next.get(0) === 100, inTime)
  expect(numbers()).toEqual(upTo(100).filter((n) => ![50, 51, 98, 99].includes(n)))
  await eventually(() => lettersOf(topic).length >= 4)
  expect(lettersOf(topic)).toEqual(['50 unprocessable', '51 unprocessable', '98 unprocessable', '99 unprocessable'])
})

it('where every record fails they go aside one by one, and the other partitions are not kept waiting', async () => {
  const topic = carrier('stepcast.commands.push.v1')
  await write(topic, upTo(20))
  const { numbers, next, seen } = await consume(topic, (handled, partition) => (partition === 0 && handled.length > 0 ? bug : null))
  await eventually(() => lettersOf(topic).length >= 1, inTime)
  await write(topic, [1_000], 1)
  await eventually(() => numbers(1).length === 1, inTime)
  expect(next.get(0) ?? 0).toBeLessThan(20)
  await eventually(() => next.get(0) === 20, inTime)
  await eventually(() => lettersOf(topic).length >= 20)
  expect(lettersOf(topic)).toEqual(upTo(20).map((n) => `${n} unprocessable`))
  expect(seen).toHaveLength(1)
})

it('an outage of 5 s is waited out: nothing goes aside, everything is handled once and in order', async () => {
  const topic = carrier('stepcast.commands.sms.v1')
  await write(topic, upTo(500))
  const until = Date.now() + 5_000
  const { numbers } = await consume(topic, () => (Date.now() < until ? outage() : null))
  await eventually(() => numbers().length >= 500, inTime)
  expect(numbers()).toEqual(upTo(500))
  expect(lettersOf(topic)).toEqual([])
})

it('a partition that waits for an outage stops no other; it goes on where it stood', async () => {
  const topic = carrier('stepcast.commands.kakao.v1')
  await write(topic, upTo(10))
  let isAway = true
  const { numbers, calls } = await consume(topic, (_numbers, partition) => (partition === 0 && isAway ? outage() : null))
  await eventually(() => calls() >= 4, inTime)
  for (let n = 0; n < 5; n++) {
    const before = Date.now()
    await write(topic, [n], 1)
    await eventually(() => numbers(1).length === n + 1, inTime)
    // A waiting partition costs the others a few quick tries now and then, never its backoff.
    expect(Date.now() - before).toBeLessThan(8_000)
  }
  isAway = false
  await eventually(() => numbers().length >= 10, inTime)
  expect(numbers()).toEqual(upTo(10))
  expect(lettersOf(topic)).toEqual([])
})

it('outages, bugs and undecodable bytes mixed: each by its own rule', async () => {
  const topic = carrier('stepcast.commands.in-app.v1')
  await write(topic, upTo(300))
  await (await stack.connection().producer()).sendRaw(topic.name, [{ key: 'x', value: Buffer.from('no avro'), partition: 0 }])
  await write(topic, upTo(600).slice(300))
  let tries = 0
  const { numbers } = await consume(topic, (handled) => (++tries % 3 === 1 ? outage() : failsFor([7, 450])(handled)))
  await eventually(() => numbers().length >= 598, inTime)
  expect(numbers()).toEqual(upTo(600).filter((n) => n !== 7 && n !== 450))
  await eventually(() => new Set(lettersOf(topic)).size >= 3)
  expect([...new Set(lettersOf(topic))].sort()).toEqual(['300 not_avro', '451 unprocessable', '7 unprocessable'])
})

it('after a rebalance a paused partition is taken up again by whoever has it then', async () => {
  const topic = carrier('stepcast.sequences.v1')
  for (const partition of [0, 1, 2]) await write(topic, upTo(5), partition)
  let isAway = true
  const first = await consume(topic, () => (isAway ? outage() : null))
  await eventually(() => first.calls() >= 12, inTime)
  const second = await consume(topic, () => (isAway ? outage() : null))
  await eventually(() => second.calls() >= 4, inTime)
  await second.consumer.stop()
  isAway = false
  const all = (): number => [...first.seen, ...second.seen].length
  await eventually(() => all() >= 15, inTime)
  for (const partition of [0, 1, 2]) expect([...first.numbers(partition), ...second.numbers(partition)]).toEqual(upTo(5))
})

it("a wrong installation ends the process; an error that merely is not retriable is the record's", async () => {
  const topic = carrier('stepcast.controls.v1')
  await write(topic, [1, 2, 3])
  const notRetriable = Object.assign(new Error('does not fit the schema'), { retriable: false })
  const { numbers } = await consume(topic, (handled) => (handled.includes(2) ? notRetriable : null))
  await eventually(() => numbers().length === 2, inTime)
  expect(numbers()).toEqual([1, 3])
  const connection = stack.connection()
  const ended: Error[] = []
  connection.fatal = (error) => void ended.push(error)
  consumers.push(
    await consumeRecords(connection, {
      topic,
      groupId: 'wrong',
      handle: () => Promise.reject(new InstallationError('another cluster')),
    }),
  )
  await eventually(() => ended.length > 0, inTime)
  expect(ended[0]!.message).toBe('another cluster')
})

it('a start that cannot be read for a while is asked for again', async () => {
  const topic = carrier('stepcast.users.v1')
  await write(topic, [1, 2, 3])
  let asked = 0
  const { numbers } = await consume(topic, () => null, {
    startAt: async (partition) => {
      if (partition === 0 && ++asked < 4) throw outage()
      return partition === 0 ? 1 : null
    },
  })
  await eventually(() => numbers().includes(3), inTime)
  expect(numbers().filter((n) => n <= 3)).toEqual([2, 3])
})
