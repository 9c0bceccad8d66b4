// Dead letters: records that could not be used, kept with their bytes, their origin and the reason.
import { createHash } from 'node:crypto'
import type { IHeaders } from 'kafkajs'
import { deadLetterTopic, maxMessageBytes, recordBytes } from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import type { Passed } from './fetchedBatches'
import type { RawRecord } from './produce'

/** A record as it came from the broker. */
export interface RawIncoming {
  /** The topic's name without prefix. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: IHeaders
  /** Broker or producer time, milliseconds. */
  readonly timestamp: number
  /** Of the whole record, headers included, as they were fetched; not known of those that a spec makes. */
  readonly bytes?: number | undefined
  /** It is no record: it stands for these offsets. */
  readonly passed?: Passed | undefined
}

/** Reasons are snake_case words that an operator filters by; the detail is a sentence without personal data. */
export interface DeadLetter {
  readonly record: RawIncoming
  readonly reason: string
  readonly detail: string
}

/** What a letter says of a record that it does not keep in whole, by the names of its parts; such a letter cannot be replayed. */
export const notKeptHeader = 'not-kept'

const ofTheLetter: ReadonlySet<string> = new Set([
  'topic',
  'partition',
  'offset',
  'reason',
  'detail',
  notKeptHeader,
  'value-bytes',
  'value-sha256',
])
const isOfTheLetter = (name: string): boolean => ofTheLetter.has(name)
const originalPrefix = 'original-'

/** The headers that a letter's record had before it became one: without the letter's own, and with those that were called alike. */
export function headersOfRecord(headers: IHeaders): IHeaders {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !isOfTheLetter(name))
      .map(([name, value]) => {
        const original = name.startsWith(originalPrefix) ? name.slice(originalPrefix.length) : name
        return [isOfTheLetter(original) ? original : name, value]
      }),
  )
}

const wholeNumber = /^\d{1,16}$/

/**
 * Where the producer's own record stands: a record that was sent home or replayed says so, always of the same topic. Anything else under
 * these names is a producer's own.
 */
function originOf({ topic, partition, offset, headers }: RawIncoming): { topic: string; partition: string; offset: string } {
  const said = {
    topic: String(headers['origin-topic']),
    partition: String(headers['origin-partition']),
    offset: String(headers['origin-offset']),
  }
  const isOrigin = said.topic === topic && wholeNumber.test(said.partition) && wholeNumber.test(said.offset)
  return isOrigin ? said : { topic, partition: String(partition), offset: String(offset) }
}

/** Fields of a record and of its batch beside key, value and headers. */
const overheadBytes = 128
/** A key or a detail longer than that is no use to an operator. */
const keptKeyBytes = 1_024
const detailCharacters = 1_000
/** What a topic takes that somebody made with a smaller limit than ours; Kafka's own default is 1 MB. */
const cautiousBytes = 256 * 1024

/** A letter that fits within `limit` bytes: where the record does not, it keeps what an operator needs to find and to recognise it. */
export function letterOf({ record, reason, detail }: DeadLetter, limit: number): RawRecord {
  const own = { ...originOf(record), reason }
  const said = detail.length > detailCharacters ? `${detail.slice(0, detailCharacters)}…` : detail
  // Names are never fields that are assigned: one may be `__proto__`.
  const headers: IHeaders = Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [isOfTheLetter(name) ? originalPrefix + name : name, value]),
  )
  const fits = (letter: { key: Buffer | null; value: Buffer | null; headers: IHeaders }): boolean =>
    recordBytes(letter) + overheadBytes <= limit

  const whole = { key: record.key, value: record.value, headers: { ...headers, ...own, detail: said } }
  if (record.passed !== undefined) return { ...whole, headers: { ...whole.headers, [notKeptHeader]: 'batch' } }
  if (fits(whole)) return whole

  const { key, value } = record
  const digest: Record<string, string> =
    value === null ? {} : { 'value-bytes': String(value.length), 'value-sha256': createHash('sha256').update(value).digest('hex') }
  const cut = (keptKey: Buffer | null, keptHeaders: IHeaders): RawRecord & { key: Buffer | null; value: null; headers: IHeaders } => {
    const notKept = [value !== null && 'value', keptHeaders !== headers && 'headers', keptKey !== key && 'key']
      .filter((part) => part !== false)
      .join(', ')
    return {
      key: keptKey,
      value: null,
      headers: {
        ...keptHeaders,
        ...own,
        ...digest,
        [notKeptHeader]: notKept,
        detail: `${said} (too large for a dead letter, not kept: ${notKept})`,
      },
    }
  }
  const keptKey = key !== null && key.length > keptKeyBytes ? null : key
  const withHeaders = cut(keptKey, headers)
  return fits(withHeaders) ? withHeaders : cut(keptKey, {})
}

/**
 * Writes dead letters; answers once Kafka has them. What this process wrote within the last minutes it does not write again: a batch
 * may be tried many times. `origin-*` headers of a rerouted record win over where it was found, so that an operator is led to the
 * producer's own record.
 */
export async function writeDeadLetters(connection: KafkaConnection, letters: readonly DeadLetter[]): Promise<void> {
  const { recentLetters } = connection
  const fresh = new Map(letters.map((letter) => [nameOf(letter), letter] as const).filter(([name]) => !recentLetters.has(name)))
  if (fresh.size === 0) return
  const producer = await connection.producer()
  const write = (limit: number): Promise<void> =>
    producer.sendRaw(
      deadLetterTopic.name,
      [...fresh.values()].map((letter) => letterOf(letter, limit)),
    )
  await write(maxMessageBytes).catch((error: Error) => {
    if (!isTooLarge(error)) throw error
    return write(cautiousBytes)
  })
  for (const [name, { record, reason, detail }] of fresh) {
    recentLetters.add(name)
    connection.onDeadLetter(record.topic, reason)
    connection.log.warn({ topic: record.topic, partition: record.partition, offset: record.offset, reason, detail }, 'dead letter')
  }
}

const nameOf = ({ record: { topic, partition, offset }, reason }: DeadLetter): string => `${topic} ${partition} ${offset} ${reason}`

/** Whether the broker said that a record is larger than its topic takes, however deep that is wrapped. */
const isTooLarge = (error: unknown): boolean =>
  error instanceof Error && ((error as { type?: unknown }).type === 'MESSAGE_TOO_LARGE' || isTooLarge(error.cause))
