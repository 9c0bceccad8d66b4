// Consuming in batches, at least once: decode, hand over, commit; what cannot be decoded or worked off goes to the dead letters.
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs'
import {
  CodecError,
  InstallationError,
  LastResort,
  RecordDecoder,
  dataSchemaHeader,
  errorClass,
  isOutage,
  isTraceparent,
  type AvroRecords,
  type RecordName,
  type Topic,
} from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import { atMost } from './atMost'
import { writeDeadLetters, type DeadLetter, type RawIncoming } from './deadLetter'
import { bytesOf, passedBy } from './fetchedBatches'

/** A decoded record with where it came from. */
export interface IncomingRecord<R extends RecordName> {
  readonly key: string | null
  /** null: a tombstone. */
  readonly value: AvroRecords[R] | null
  readonly partition: number
  readonly offset: number
  readonly headers: Readonly<Record<string, string>>
  readonly timestamp: number
  readonly raw: RawIncoming
  /** The trace it came in; null: none, or none that may be stored and travel on. */
  readonly traceparent: string | null
}

/** What a handler may do with the batch at hand besides reading it. */
export interface BatchContext<R extends RecordName> {
  readonly partition: number
  /** One past the last offset of this batch, control records included. */
  readonly nextOffset: number
  /** Puts one record aside; answers once Kafka has it. */
  deadLetter(record: IncomingRecord<R>, reason: string, detail: string): Promise<void>
}

/** How a topic is consumed. */
export interface ConsumeOptions<R extends RecordName> {
  readonly topic: Topic<R>
  readonly groupId: string
  /** A null key is a dead letter `null_key`. */
  readonly keyRequired?: boolean
  /** At most this many records a call; 2,000 unless told: about a megabyte of ours. */
  readonly maxRecords?: number
  readonly fromBeginning?: true
  /** False: the group keeps no offsets, `startAt` says where each partition starts. */
  readonly commits?: false
  /** Tombstones (null values) are given to the handler; else they are dead letters. True for compacted topics unless told. */
  readonly tombstones?: boolean
  /** Where to start a partition instead of the group's offset, asked at every assignment. */
  readonly startAt?: (partition: number) => Promise<number | null>
  /**
   * Takes one partition's records, in order; none at all where only `nextOffset` tells something. A throw repeats the call: for an outage
   * (isOutage) until it is over, else by the rules of {@link LastResort}, so the same records may come again in smaller parts. An
   * {@link InstallationError} ends the process.
   */
  handle(records: readonly IncomingRecord<R>[], batch: BatchContext<R>): Promise<void>
}

const heartbeatEveryMs = 3_000
// Of a fetch that finds nothing. Records end it at once; waiting longer costs less while idle, but stopping and heartbeats wait for it too.
const maxWaitMs = 2_000
// About a megabyte of ours.
const maxRecordsUnlessTold = 2_000
/** A handler that takes longer hangs: the process ends and its supervisor starts it anew. */
const handlerTimeoutMs = 300_000
const lookPatienceMs = 1_000
/** Between tries of what must not be given up, and the longest wait of an outage. */
const maxDelayMs = 10_000
/** Longer waits are not made inside a batch, because the client fetches for no partition while one is at work: the partition is paused instead. */
const waitInlineMs = 500
/** And a partition that has failed this long inside a batch lets the others be fetched before it goes on. */
const failInlineMs = 1_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The client's message as a plain value. */
export const rawOf = (topicName: string, partition: number, message: KafkaMessage): RawIncoming => ({
  topic: topicName,
  partition,
  offset: Number(message.offset),
  key: message.key,
  value: message.value,
  headers: message.headers ?? {},
  timestamp: Number(message.timestamp),
  bytes: bytesOf(message),
  passed: passedBy(message),
})

/** A decoded record; its headers become text when somebody asks. */
class Decoded<R extends RecordName> implements IncomingRecord<R> {
  constructor(
    readonly value: AvroRecords[R] | null,
    readonly raw: RawIncoming,
  ) {}

  get key(): string | null {
    return this.raw.key === null ? null : this.raw.key.toString()
  }

  get partition(): number {
    return this.raw.partition
  }

  get offset(): number {
    return this.raw.offset
  }

  get timestamp(): number {
    return this.raw.timestamp
  }

  get headers(): Readonly<Record<string, string>> {
    // A copy has all of them as fields; to an empty object an assignment would not add `__proto__`.
    const headers: Record<string, unknown> = { ...this.raw.headers }
    for (const name in headers) headers[name] = String(headers[name])
    return headers as Record<string, string>
  }

  get traceparent(): string | null {
    const { traceparent } = this.raw.headers
    const text = traceparent === undefined ? null : String(traceparent)
    return isTraceparent(text) ? text : null
  }
}

/** Decodes what can be decoded; the rest come back as dead letters. The registry's outages reject. */
export async function decodeAll<R extends RecordName>(
  decoder: RecordDecoder<R>,
  raws: readonly RawIncoming[],
  { keyRequired, tombstones }: { keyRequired: boolean; tombstones: boolean },
): Promise<{ records: IncomingRecord<R>[]; letters: DeadLetter[] }> {
  const looking = decoder.lookAgain()
  // A registry that does not answer holds up a batch for a second every half minute; what is known is used until then.
  if (looking !== null) await atMost(looking, lookPatienceMs)
  const records: IncomingRecord<R>[] = []
  const letters: DeadLetter[] = []
  for (const raw of raws) {
    if (raw.passed !== undefined) {
      const { first, last, why } = raw.passed
      if (why !== null)
        letters.push({ record: raw, reason: 'unreadable', detail: `the batch of offsets ${first} to ${last} cannot be read: ${why}` })
      continue
    }
    if (raw.key === null && keyRequired) {
      letters.push({ record: raw, reason: 'null_key', detail: 'this topic needs a key' })
      continue
    }
    if (raw.value === null && !tombstones) {
      letters.push({ record: raw, reason: 'null_value', detail: 'this topic needs a value' })
      continue
    }
    try {
      const decoded = raw.value === null ? null : decoder.decode(raw.value, raw.headers[dataSchemaHeader])
      const value = decoded instanceof Promise ? await decoded : decoded
      records.push(new Decoded(value, raw))
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      letters.push({ record: raw, reason: error.reason, detail: error.message })
    }
  }
  return { records, letters }
}

/** A running consumer. */
export interface RunningConsumer {
  stop(): Promise<void>
}

/**
 * Consumes a topic in batches, one partition's batch at a time and in order, committing offsets after the handler's answer.
 * No record stops it: undecodable values go to the dead letters, and so does what its handler cannot work off ({@link LastResort}).
 * Kafka's, the registry's and the handler's outages are waited out with backoff (0.1 s to 10 s); the other partitions go on meanwhile.
 */
export async function consumeRecords<R extends RecordName>(
  connection: KafkaConnection,
  options: ConsumeOptions<R>,
): Promise<RunningConsumer> {
  const consumer = connection.consumer({
    groupId: options.groupId,
    sessionTimeout: 10_000,
    rebalanceTimeout: 15_000,
    heartbeatInterval: heartbeatEveryMs,
    maxWaitTimeInMs: maxWaitMs,
    maxBytesPerPartition: 1024 * 1024,
    allowAutoTopicCreation: false,
  })
  const consuming = new Consuming(connection, consumer, options)
  await consumer.connect()
  await consumer.subscribe({ topics: [consuming.physical], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 4,
    eachBatch: (payload) => consuming.eachBatch(payload),
  })
  return {
    async stop() {
      consuming.stop()
      await connection.release(consumer)
    },
  }
}

/** How a partition fares, from one assignment to the next. */
interface Standing {
  readonly resort: LastResort
  /** The record whose dead letter is written, so that it is written once however often moving on fails. */
  aside: number | null
  resume: NodeJS.Timeout | null
}

class Consuming<R extends RecordName> {
  readonly physical: string
  private readonly edge: { readonly keyRequired: boolean; readonly tombstones: boolean }
  private readonly decoder: RecordDecoder<R>
  private readonly standings = new Map<number, Standing>()
  private stopping = false
  private assignments = 0

  constructor(
    private readonly connection: KafkaConnection,
    private readonly consumer: Consumer,
    private readonly options: ConsumeOptions<R>,
  ) {
    const { topic, keyRequired = false, tombstones = topic.cleanup === 'compact' } = options
    this.physical = connection.physical(topic.name)
    this.edge = { keyRequired, tombstones }
    this.decoder = new RecordDecoder(topic.record, connection.registry.schemaById)
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.assigned(payload.memberAssignment[this.physical] ?? []))
  }

  stop(): void {
    this.stopping = true
    this.forgetStandings()
  }

  async eachBatch({
    batch,
    pause: pausePartition,
    resolveOffset,
    heartbeat,
    commitOffsetsIfNecessary,
    isRunning,
    isStale,
  }: EachBatchPayload): Promise<void> {
    const { partition, messages } = batch
    const standing = this.standingOf(partition)
    let lost: Error | null = null
    const beat = setInterval(() => heartbeat().catch((error: Error) => (lost = error)), heartbeatEveryMs)
    let failingSince: number | null = null
    try {
      for (let at = 0; at < messages.length && !this.stopping && isRunning() && !isStale() && lost === null; ) {
        const part = messages.slice(at, at + Math.min(this.options.maxRecords ?? maxRecordsUnlessTold, standing.resort.most()))
        // The batch's own last offset covers control records after the last message.
        const nextOffset = Number(at + part.length === messages.length ? batch.lastOffset() : part[part.length - 1]!.offset) + 1
        const delayMs = await this.workOff(standing, partition, part, nextOffset)
        if (delayMs === null) {
          resolveOffset(String(nextOffset - 1))
          if (this.options.commits !== false)
            await commitOffsetsIfNecessary({ topics: [{ topic: this.physical, partitions: [{ partition, offset: String(nextOffset) }] }] })
          at += part.length
          continue
        }
        failingSince ??= Date.now()
        if (delayMs > waitInlineMs || Date.now() - failingSince > failInlineMs) {
          // Nothing is resolved: it is fetched again from where it stands.
          this.resumeAfter(standing, pausePartition(), delayMs)
          break
        }
        await pause(delayMs)
      }
    } finally {
      clearInterval(beat)
    }
    if (lost) throw lost
    await heartbeat()
  }

  /** Tries a part once; null: it is done with, handled or set aside. Else: milliseconds to wait before the next try. */
  private async workOff(standing: Standing, partition: number, part: readonly KafkaMessage[], nextOffset: number): Promise<number | null> {
    const { topic, groupId } = this.options
    const hanging = setTimeout(
      () => this.connection.fatal(new Error(`${groupId}: a batch of ${topic.name} took over ${handlerTimeoutMs} ms`)),
      handlerTimeoutMs,
    )
    const raws = part.map((message) => rawOf(topic.name, partition, message))
    let failure: unknown = null
    try {
      await this.handle(raws, partition, nextOffset)
      standing.resort.succeeded(raws.length)
      return null
    } catch (error) {
      if (error instanceof InstallationError) {
        this.connection.fatal(error)
        return maxDelayMs
      }
      const answer = standing.resort.failed(error, raws.length, Date.now())
      if (answer.next !== 'setAside') {
        this.say(answer.next === 'wait' ? 'an outage, waiting' : 'batch failed, trying again', partition, raws, error, answer.delayMs)
        return answer.delayMs
      }
      failure = error
    } finally {
      clearTimeout(hanging)
    }
    return this.setAside(standing, raws[0]!, nextOffset, failure)
  }

  private async handle(raws: readonly RawIncoming[], partition: number, nextOffset: number): Promise<void> {
    const { records, letters } = await decodeAll(this.decoder, raws, this.edge)
    await writeDeadLetters(this.connection, letters)
    await this.options.handle(records, {
      partition,
      nextOffset,
      deadLetter: (record, reason, detail) => writeDeadLetters(this.connection, [{ record: record.raw, reason, detail }]),
    })
  }

  private async setAside(standing: Standing, raw: RawIncoming, nextOffset: number, failure: unknown): Promise<number | null> {
    try {
      if (standing.aside !== raw.offset) {
        this.say('a record cannot be worked off, it goes to the dead letters', raw.partition, [raw], failure, 0)
        await writeDeadLetters(this.connection, [
          { record: raw, reason: 'unprocessable', detail: `failed three times with ${errorClass(failure)}` },
        ])
        standing.aside = raw.offset
      }
      // Handlers that keep the offset themselves move past it.
      await this.handle([], raw.partition, nextOffset)
      standing.resort.wentAside()
      return null
    } catch (error) {
      // Whatever it is: not the next record's fault, and this one must not be lost.
      this.say('a record cannot be set aside yet, waiting', raw.partition, [raw], error, maxDelayMs)
      return maxDelayMs
    }
  }

  private say(what: string, partition: number, raws: readonly RawIncoming[], failure: unknown, delayMs: number): void {
    const { groupId: group, topic } = this.options
    const { message, stack } = failure instanceof Error ? failure : { message: String(failure), stack: undefined }
    this.connection.log.warn(
      { group, topic: topic.name, partition, from: raws[0]!.offset, records: raws.length, delayMs, error: message, stack },
      what,
    )
  }

  private standingOf(partition: number): Standing {
    let standing = this.standings.get(partition)
    if (standing === undefined) this.standings.set(partition, (standing = { resort: new LastResort(), aside: null, resume: null }))
    return standing
  }

  private resumeAfter(standing: Standing, resume: () => void, delayMs: number): void {
    if (standing.resume) clearTimeout(standing.resume)
    standing.resume = setTimeout(() => {
      standing.resume = null
      if (!this.stopping) resume()
    }, delayMs)
  }

  private forgetStandings(): void {
    for (const { resume } of this.standings.values()) if (resume) clearTimeout(resume)
    this.standings.clear()
  }

  // The client keeps what is paused from one assignment to the next: a partition that comes back begins anew.
  private assigned(partitions: readonly number[]): void {
    this.forgetStandings()
    if (partitions.length === 0) return
    const all = [{ topic: this.physical, partitions: [...partitions] }]
    const { startAt } = this.options
    if (startAt === undefined) this.consumer.resume(all)
    else {
      // GROUP_JOIN listeners are not awaited and fetching starts before a seek: so pause at once, ask, seek, resume.
      this.consumer.pause(all)
      const isCurrent = this.newAssignment()
      void Promise.all(partitions.map((partition) => this.seek(partition, startAt, isCurrent))).catch((error: Error) => {
        // Stopped right after joining: nobody needs the answer, and what it would be read from may be closed.
        if (isCurrent()) this.connection.fatal(error)
      })
    }
  }

  private newAssignment(): () => boolean {
    const mine = ++this.assignments
    return () => !this.stopping && mine === this.assignments
  }

  private async seek(partition: number, startAt: (partition: number) => Promise<number | null>, isCurrent: () => boolean): Promise<void> {
    const offset = await this.startOf(partition, startAt, isCurrent)
    if (!isCurrent()) return
    if (offset !== null) this.consumer.seek({ topic: this.physical, partition, offset: String(offset) })
    this.consumer.resume([{ topic: this.physical, partitions: [partition] }])
  }

  // While the database is away nothing is fetched; the group goes on.
  private async startOf(
    partition: number,
    startAt: (partition: number) => Promise<number | null>,
    isCurrent: () => boolean,
  ): Promise<number | null> {
    for (let delayMs = 100; ; delayMs = Math.min(maxDelayMs, delayMs * 2)) {
      try {
        return await startAt(partition)
      } catch (error) {
        if (!isOutage(error) || !isCurrent()) throw error
        const { groupId: group, topic } = this.options
        this.connection.log.warn(
          { group, topic: topic.name, partition, delayMs, error: (error as Error).message },
          'where to start cannot be read yet, waiting',
        )
        await pause(delayMs)
      }
    }
  }
}
