import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
import type { KafkaConnection } from './connection'
import type { Passed } from './fetchedBatches'
import { Mailboxes } from './mailboxes'

/** The client's consumer as mailboxes see it; what it fetches is up to the spec. */
class Consumer {
  readonly events = { GROUP_JOIN: 'join', HEARTBEAT: 'heartbeat' }
  readonly seeks: [partition: number, offset: number][] = []
  readonly paused = new Set<number>()
  private readonly listeners: Record<string, (event: object) => void> = {}
  private eachBatch: ((payload: EachBatchPayload) => Promise<void>) | undefined

  on = (name: string, listener: (event: object) => void): void => void (this.listeners[name] = listener)
  connect = async (): Promise<void> => {}
  subscribe = async (): Promise<void> => {}
  commitOffsets = async (): Promise<void> => {}
  run = async ({ eachBatch }: { eachBatch: (payload: EachBatchPayload) => Promise<void> }): Promise<void> =>
    void (this.eachBatch = eachBatch)
  seek = ({ partition, offset }: { partition: number; offset: string }): void => void this.seeks.push([partition, Number(offset)])
  pause = ([{ partitions }]: [{ partitions: number[] }]): void => partitions.forEach((partition) => this.paused.add(partition))
  resume = ([{ partitions }]: [{ partitions: number[] }]): void => partitions.forEach((partition) => this.paused.delete(partition))
  join = (partitions: number[]): void => this.listeners.join!({ payload: { memberAssignment: { t: partitions } } })
  heartbeat = (): void => this.listeners.heartbeat!({})

  /** A fetch from an offset was answered with these. */
  fetched = (
    partition: number,
    from: number,
    messages: readonly Partial<KafkaMessage & { passed: Passed; bytes: number }>[],
  ): Promise<void> =>
    this.eachBatch!({
      batch: { topic: 't', partition, fetchedOffset: String(from), messages, lastOffset: () => messages.at(-1)!.offset },
      heartbeat: async () => {},
    } as unknown as EachBatchPayload)
}

const records = (from: number, to: number, bytes = 1): Partial<KafkaMessage & { bytes: number }>[] =>
  Array.from({ length: to - from + 1 }, (_, n) => ({
    key: null,
    value: Buffer.from('v'),
    headers: {},
    timestamp: '1',
    offset: String(from + n),
    bytes,
  }))
const passed = (first: number, last: number, why: string | null): Partial<KafkaMessage & { passed: Passed }> => ({
  key: null,
  value: null,
  headers: {},
  timestamp: '0',
  offset: String(last),
  passed: { first, last, why },
})

const open: Mailboxes[] = []
afterEach(async () => {
  for (const mailboxes of open.splice(0)) await mailboxes.close()
})

async function opened(partitions: number): Promise<{ consumer: Consumer; mailboxes: Mailboxes; takenOver: number[] }> {
  const consumer = new Consumer()
  const takenOver: number[] = []
  const connection = {
    partitionsOf: async () => partitions,
    consumer: () => consumer,
    physical: (topic: string) => topic,
    topicPrefix: '',
    release: async () => {},
  } as unknown as KafkaConnection
  const mailboxes = new Mailboxes(connection, {
    topics: ['t'],
    groupId: 'g',
    takeOver: async (partition) => (takenOver.push(partition), { t: 0 }),
    arrived: () => {},
    lost: () => {},
  })
  await mailboxes.open()
  open.push(mailboxes)
  consumer.join([...Array(partitions).keys()])
  await new Promise(setImmediate)
  return { consumer, mailboxes, takenOver }
}

it('markers that a fetch from before a reset brings move nothing: the records between are read', async () => {
  const { consumer, mailboxes } = await opened(1)
  await consumer.fetched(0, 0, records(0, 49))
  mailboxes.done(0, 't', 50)
  await consumer.fetched(0, 50, records(50, 99))
  // The turn fails. A fetch from 100 is under way; it brings a transaction that was given up.
  mailboxes.reset(0, { t: 50 })
  await consumer.fetched(0, 100, [passed(100, 105, null)])
  expect(mailboxes.behind(0, 't')).toBe(false)
  expect(consumer.seeks.at(-1)).toEqual([0, 50])
  await consumer.fetched(0, 50, records(50, 99))
  await consumer.fetched(0, 100, [passed(100, 105, null)])
  expect(mailboxes.waiting(0, 't')).toBe(50)
  expect(mailboxes.peek(0, 't', 1_000).nextOffset).toBe(106)
  mailboxes.done(0, 't', 106)
  expect(mailboxes.behind(0, 't')).toBe(false)
})

it('a batch that cannot be read waits like a record, in its place', async () => {
  const { consumer, mailboxes } = await opened(1)
  await consumer.fetched(0, 0, [...records(0, 1), passed(2, 6, 'corrupt'), ...records(7, 8)])
  const { records: waiting, nextOffset } = mailboxes.peek(0, 't', 1_000)
  expect(waiting.map(({ offset, passed: why }) => [offset, why?.why])).toEqual([
    [0, undefined],
    [1, undefined],
    [6, 'corrupt'],
    [7, undefined],
    [8, undefined],
  ])
  expect(nextOffset).toBe(9)
})

it('where very many bytes wait, headers included, no partition is read on before most of them are done', async () => {
  const { consumer, mailboxes } = await opened(4)
  const large = 60 * 1024 * 1024
  await consumer.fetched(0, 0, records(0, 0, large))
  expect([...consumer.paused]).toEqual([0])
  await consumer.fetched(1, 0, records(0, 0, large))
  await consumer.fetched(2, 0, records(0, 0, large))
  expect([...consumer.paused].sort()).toEqual([0, 1, 2, 3])
  mailboxes.done(0, 't', 1)
  expect([...consumer.paused].sort()).toEqual([0, 1, 2, 3])
  mailboxes.done(1, 't', 1)
  expect([...consumer.paused]).toEqual([2])
  mailboxes.done(2, 't', 1)
  expect([...consumer.paused]).toEqual([])
  await consumer.fetched(0, 1, records(1, 1, 3 * large))
  expect([...consumer.paused].sort()).toEqual([0, 1, 2, 3])
  mailboxes.reset(0, { t: 1 })
  expect([...consumer.paused]).toEqual([])
})

it('a partition that another process has taken over is taken back when the group says that it is ours, and not before', async () => {
  const { consumer, mailboxes, takenOver } = await opened(3)
  expect(takenOver.splice(0)).toEqual([0, 1, 2])
  mailboxes.takeOverAgain(1)
  expect(takenOver).toEqual([])
  consumer.heartbeat()
  expect(takenOver.splice(0)).toEqual([1])
  consumer.heartbeat()
  mailboxes.takeOverAgain(2)
  // The group has given it away.
  consumer.join([0, 1])
  consumer.heartbeat()
  expect(takenOver).toEqual([0, 1])
})
