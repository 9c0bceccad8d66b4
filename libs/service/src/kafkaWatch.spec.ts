// A reader that stands and a broker that is away are seen, named and forgotten again; an idle process asks next to nothing.
import { Registry } from 'prom-client'
import { awayAfterMs, KafkaWatch, standsAfterMs, watchKafka, type KafkaWatchOptions } from './kafkaWatch'
import { Readiness } from './readiness'

const topic = 'stepcast.sends.v1'
const offsets = (...of: number[]): Map<number, number> => new Map(of.entries())

/** Kafka as a few numbers; `asked` counts requests. */
function given(change: Partial<KafkaWatchOptions['follows'][number]> = {}) {
  const kafka = {
    ends: offsets(10, 10),
    lows: offsets(0, 0),
    committed: offsets(10, 10),
    isAway: false,
    asked: { ends: 0, lows: 0, committed: 0 },
    at: 0,
    isClosed: false,
  }
  const answer = async <T>(kind: keyof typeof kafka.asked, value: T): Promise<T> => {
    kafka.asked[kind]++
    if (kafka.isAway) throw new Error('connect ECONNREFUSED')
    return value
  }
  const options: KafkaWatchOptions = {
    now: () => kafka.at,
    follows: [{ groupId: 'orchestrator', topic, ...change }],
    connection: {
      endOffsets: () => answer('ends', new Map(kafka.ends)),
      offsets: () =>
        answer('lows', new Map([...kafka.ends].map(([partition, end]) => [partition, { low: kafka.lows.get(partition)!, end }]))),
      committed: () => answer('committed', new Map(kafka.committed)),
      onDeadLetter: () => {},
      get isClosed() {
        return kafka.isClosed
      },
    },
  }
  const watch = new KafkaWatch(options)
  const after = async (ms: number): Promise<void> => {
    kafka.at += ms
    await watch.atMost(0)
  }
  return { kafka, options, watch, after }
}

it('a record that is not worked off for over a minute is named with group, topic, partition and age', async () => {
  const { kafka, watch, after } = given()
  await after(15_000)
  kafka.ends.set(1, 12)
  await after(15_000)
  await after(standsAfterMs)
  expect(await watch.standing()).toBeNull()
  await after(15_000)
  expect(await watch.standing()).toBe(`orchestrator has a record of ${topic}, partition 1, waiting for 75 s`)
  expect(watch.standings()).toMatchObject([
    { partition: 0, lag: 0, ageMs: 0 },
    { partition: 1, lag: 2, ageMs: 75_000 },
  ])
  kafka.committed.set(1, 12)
  await after(15_000)
  expect(await watch.standing()).toBeNull()
})

it('a reader that gets on is ready however much waits', async () => {
  const { kafka, watch, after } = given()
  for (let n = 1; n < 40; n++) {
    kafka.ends.set(0, 10 + n * 1_000)
    await after(15_000)
    kafka.committed.set(0, 10 + (n - 2) * 1_000)
    expect(await watch.standing()).toBeNull()
  }
})

it('a record that stopped the process before a restart is seen a minute after it', async () => {
  const { kafka, watch, after } = given()
  kafka.committed.set(0, 3)
  await after(0)
  await after(standsAfterMs + 1)
  expect(await watch.standing()).toContain('partition 0')
})

it("records that retention took away, or of a group without offsets, are nobody's to work off", async () => {
  const { kafka, watch, after } = given()
  kafka.committed.clear()
  kafka.lows = offsets(10, 7)
  await after(0)
  expect(watch.standings()).toMatchObject([
    { partition: 0, lag: 0 },
    { partition: 1, lag: 3 },
  ])
})

it('offsets may be kept elsewhere, of the partitions of this process only', async () => {
  const own = offsets(10, 10)
  const { kafka, watch, after } = given({ offsets: () => own, onlyNamed: true })
  own.delete(1)
  kafka.ends = offsets(11, 11)
  await after(0)
  expect([watch.standings(), kafka.asked.committed]).toMatchObject([[{ partition: 0, lag: 1 }], 0])
})

it('an idle process asks for the ends of a topic and for nothing else', async () => {
  const { kafka, after } = given()
  for (let n = 0; n < 10; n++) await after(15_000)
  expect(kafka.asked).toEqual({ ends: 10, lows: 0, committed: 1 })
})

it('an outage shorter than 30 s changes nothing, a longer one does, and its end is seen at once', async () => {
  const { kafka, watch, after } = given()
  await after(0)
  kafka.isAway = true
  await after(10_000)
  kafka.at += awayAfterMs - 1
  expect(await watch.away()).toBeNull()
  kafka.at += 6_000
  expect(await watch.away()).toBe('no answer for 36 s')
  kafka.isAway = false
  kafka.at += 6_000
  expect(await watch.away()).toBeNull()
  expect(watch.awayMs()).toBe(0)
})

it('a broker that hangs counts as away since it was asked', async () => {
  const { kafka, options } = given()
  const watch = new KafkaWatch({ ...options, connection: { ...options.connection, endOffsets: () => new Promise(() => {}) } })
  void watch.atMost(0)
  kafka.at += awayAfterMs
  expect(await watch.away()).toBe('no answer for 30 s')
})

it('readiness and metrics tell both', async () => {
  const { kafka, options } = given()
  const [registry, readiness] = [new Registry(), new Readiness()]
  watchKafka(registry, readiness, options)
  kafka.isClosed = false
  expect(await readiness.notReady()).toEqual([])
  kafka.ends = offsets(10, 13)
  kafka.at += 15_000
  expect(await readiness.notReady()).toEqual([])
  kafka.at += 61_000
  expect(await registry.metrics()).toContain(`stepcast_consumer_oldest_age_seconds{group="orchestrator",topic="${topic}",partition="1"} 61`)
  expect(await registry.metrics()).toContain(`stepcast_consumer_lag_records{group="orchestrator",topic="${topic}",partition="1"} 3`)
  kafka.isAway = true
  kafka.at += 6_000
  await readiness.notReady()
  kafka.at += 31_000
  expect(await readiness.notReady()).toEqual([
    { part: 'kafka', detail: 'no answer for 31 s' },
    { part: 'consumers', detail: expect.stringContaining('waiting for 98 s') },
  ])
  // Old numbers would look like those of now.
  expect(await registry.metrics()).not.toContain('partition="1"')
})
