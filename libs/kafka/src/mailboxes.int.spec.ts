import { Kafka } from 'kafkajs'
import { topics } from '@stepcast/contracts'
import { eventually, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import type { KafkaConnection } from './connection'
import { Mailboxes, type StartOffsets } from './mailboxes'

const sends = topics.sends.name
const engagements = topics.engagements.name

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())

/** An owner as the engine is one: it keeps offsets itself and takes what waits. */
class Owner {
  readonly taken: { partition: number; offset: number; key: string }[] = []
  readonly owned = new Set<number>()
  mailboxes!: Mailboxes
  hold = false

  constructor(private readonly offsets: Map<number, Record<string, number>>) {}

  async open(connection: KafkaConnection, groupId: string): Promise<this> {
    this.mailboxes = new Mailboxes(connection, {
      topics: [sends, engagements],
      groupId,
      takeOver: async (partition): Promise<StartOffsets> => {
        this.owned.add(partition)
        return this.offsets.get(partition) ?? { [sends]: 0, [engagements]: 0 }
      },
      arrived: (partition) => this.take(partition),
      lost: (partition) => void this.owned.delete(partition),
    })
    await this.mailboxes.open()
    return this
  }

  take(partition: number, max = 1_000): void {
    if (this.hold || !this.owned.has(partition)) return
    for (const topic of [sends, engagements])
      for (; this.mailboxes.behind(partition, topic); ) {
        const { records, nextOffset } = this.mailboxes.peek(partition, topic, max)
        for (const { offset, key } of records) this.taken.push({ partition, offset, key: String(key) })
        this.offsets.set(partition, { ...(this.offsets.get(partition) ?? { [sends]: 0, [engagements]: 0 }), [topic]: nextOffset })
        this.mailboxes.done(partition, topic, nextOffset)
      }
  }
}

const produce = async (from: number, count: number, topic = sends): Promise<void> => {
  const producer = await stack.connection().producer()
  await producer.sendRaw(
    topic,
    Array.from({ length: count }, (_, n) => ({ key: `k${from + n}`, value: Buffer.from('v'), partition: (from + n) % specPartitions })),
  )
}

/** Waits for so many records; says how many there were if it was in vain. */
const haveTaken = (count: number, ...owners: readonly Owner[]): Promise<true> =>
  eventually(() => {
    expect(owners.reduce((taken, owner) => taken + owner.taken.length, 0)).toBe(count)
    return true
  })

it('two owners share the partitions, the same of each topic; when one leaves, the other goes on where it stopped, and nothing is missed or repeated', async () => {
  const offsets = new Map<number, Record<string, number>>()
  const first = await new Owner(offsets).open(stack.connection(), 'shared')
  await eventually(() => first.owned.size === specPartitions)
  await produce(0, 300)
  await haveTaken(300, first)
  const second = await new Owner(offsets).open(stack.connection(), 'shared')
  await eventually(() => second.owned.size > 0 && first.owned.size + second.owned.size === specPartitions)
  await produce(300, 300)
  await haveTaken(600, first, second)
  expect(second.taken.length).toBeGreaterThan(0)
  await first.mailboxes.close()
  await eventually(() => second.owned.size === specPartitions)
  await produce(600, 300)
  await haveTaken(900, first, second)
  expect(new Set([...first.taken, ...second.taken].map(({ key }) => key)).size).toBe(900)
  for (const owner of [first, second]) {
    for (let partition = 0; partition < specPartitions; partition++) {
      const here = owner.taken.filter((record) => record.partition === partition).map(({ offset }) => offset)
      expect(here).toEqual([...here].sort((a, b) => a - b))
    }
  }
  await second.mailboxes.close()
})

it('control records of a transactional producer move the offset, also where nothing else does', async () => {
  const offsets = new Map<number, Record<string, number>>()
  const owner = await new Owner(offsets).open(stack.connection(), 'control')
  await eventually(() => owner.owned.size === specPartitions)
  const kafka = new Kafka({ brokers: stack.env.KAFKA_BROKERS!.split(','), logLevel: 0 })
  const producer = kafka.producer({ transactionalId: `${stack.env.STEPCAST_TOPIC_PREFIX}tx`, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const topic = stack.env.STEPCAST_TOPIC_PREFIX! + engagements
  for (const outcome of ['commit', 'abort'] as const) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: outcome, value: 'v', partition: 0 }] })
    await transaction[outcome]()
  }
  await producer.disconnect()
  const connection = stack.connection()
  await eventually(async () => {
    const end = (await connection.endOffsets(engagements)).get(0)!
    return end >= 4 && offsets.get(0)?.[engagements] === end
  })
  expect(owner.taken.filter(({ key }) => key === 'commit')).toHaveLength(1)
  expect(owner.taken.filter(({ key }) => key === 'abort')).toHaveLength(0)
  await owner.mailboxes.close()
})

it('a mailbox is bounded, and a reset reads again from where it is told', async () => {
  const connection = stack.connection()
  const before = (await connection.endOffsets(sends)).get(1)!
  const offsets = new Map(
    [...Array(specPartitions).keys()].map((partition): [number, Record<string, number>] => [
      partition,
      { [sends]: before, [engagements]: 0 },
    ]),
  )
  const owner = new Owner(offsets)
  owner.hold = true
  await owner.open(stack.connection(), 'bounded')
  const producer = await connection.producer()
  await producer.sendRaw(
    sends,
    Array.from({ length: 30_000 }, (_, n) => ({ key: `b${n}`, value: Buffer.alloc(50), partition: 1 })),
  )
  await eventually(() => owner.mailboxes.waiting(1, sends) >= 8_000)
  await new Promise((resolve) => setTimeout(resolve, 500))
  // One more fetch may have been under way when it was paused: at most 1 MB.
  expect(owner.mailboxes.waiting(1, sends)).toBeLessThan(8_000 + 12_000)
  owner.mailboxes.reset(1, { [sends]: before + 5, [engagements]: 0 })
  owner.hold = false
  await eventually(() => owner.taken.filter(({ key }) => key.startsWith('b')).length >= 30_000 - 5)
  const here = owner.taken.filter(({ key }) => key.startsWith('b')).map(({ offset }) => offset)
  expect(here).toEqual(Array.from({ length: 30_000 - 5 }, (_, n) => before + 5 + n))
  await owner.mailboxes.close()
})

it('mailboxes that nobody closed keep no process alive whose connection is closed', async () => {
  const made = jest.spyOn(globalThis, 'setInterval')
  const cleared = jest.spyOn(globalThis, 'clearInterval')
  const connection = stack.connection()
  await new Owner(new Map()).open(connection, 'left open')
  await connection.close()
  expect(made).toHaveBeenCalled()
  const gone = new Set(cleared.mock.calls.map(([interval]) => interval))
  const left = made.mock.results.map(({ value }) => value as NodeJS.Timeout).filter((interval) => !gone.has(interval))
  jest.restoreAllMocks()
  expect(left.filter((interval) => interval.hasRef()).length).toBe(0)
})
