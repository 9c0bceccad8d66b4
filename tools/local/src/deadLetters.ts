// Dead letters as an operator thinks of them: one entry for each record that was put aside, however often it was.
import { randomUUID } from 'node:crypto'
import { dataSchemaHeader, deadLetterTopic, isSequenceId, RecordDecoder, topics, type Topic } from '@stepcast/contracts'
import { isRecord, type KafkaConnection, type RawRecord } from '@stepcast/kafka'

/** Where a letter stands on the dead-letter topic. */
export interface Place {
  readonly partition: number
  readonly offset: number
}

/** A record that was put aside. */
export interface DeadLetterEntry {
  /** When it was put aside last, milliseconds. */
  readonly at: number
  /** Where the producer's record came from. */
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly reason: string
  readonly detail: string
  /** Of the last letter. */
  readonly record: Required<Pick<RawRecord, 'key' | 'value' | 'headers'>>
  /** Every letter about it, the last one last: a crash repeats a letter, and a replay that fails writes another. */
  readonly places: readonly Place[]
}

/** Which letters are meant. */
export interface LetterFilter {
  readonly topic?: string | undefined
  readonly reason?: string | undefined
  readonly workspaceId?: string | undefined
  /** Put aside at this time or later, milliseconds. */
  readonly since?: number | undefined
  /** Put aside before this time. */
  readonly until?: number | undefined
}

/** Entries in memory at a time: some 10 MB of ordinary records. */
export const entriesAtMost = 10_000
const silentMs = 30_000

/**
 * Reads the dead letters from the first kept to the end they have now; entries in order of time, at most `limit`, and how many
 * letters matched beyond that.
 */
export async function readDeadLetters(
  connection: KafkaConnection,
  filter: LetterFilter,
  limit = entriesAtMost,
): Promise<{ entries: DeadLetterEntry[]; beyond: number }> {
  const entries = new Map<string, DeadLetterEntry & { places: Place[] }>()
  const isMeant = meaning(connection, filter)
  let beyond = 0
  await eachLetter(connection, async (place, at, record) => {
    const text = (name: string): string => String(record.headers[name] ?? '')
    const letter = {
      at,
      topic: text('topic'),
      partition: Number(text('partition')),
      offset: text('offset'),
      reason: text('reason'),
      detail: text('detail'),
      record,
    }
    if (!(await isMeant(letter))) return
    const name = `${letter.topic} ${letter.partition} ${letter.offset}`
    const known = entries.get(name)
    // Partitions are read in any order: the last letter is the one of the latest time.
    if (known)
      entries.set(name, known.at <= at ? { ...letter, places: [...known.places, place] } : { ...known, places: [place, ...known.places] })
    else if (entries.size < limit) entries.set(name, { ...letter, places: [place] })
    else beyond++
  })
  return { entries: [...entries.values()].sort((a, b) => a.at - b.at), beyond }
}

type Letter = Omit<DeadLetterEntry, 'places'>

function meaning(
  connection: KafkaConnection,
  { topic, reason, workspaceId, since = 0, until = Infinity }: LetterFilter,
): (letter: Letter) => Promise<boolean> {
  const workspaceOf = workspaceReader(connection)
  return async (letter) =>
    (topic === undefined || letter.topic === topic) &&
    (reason === undefined || letter.reason === reason) &&
    letter.at >= since &&
    letter.at < until &&
    (workspaceId === undefined || (await workspaceOf(letter)) === workspaceId)
}

/** Reads the workspace out of a record; null where it cannot be decoded. */
function workspaceReader(connection: KafkaConnection): (letter: Letter) => Promise<string | null> {
  const decoders = new Map(
    Object.values<Topic>(topics).map(({ name, record }) => [name, new RecordDecoder(record, connection.registry.schemaById)]),
  )
  return async ({ topic, record }) => {
    const decoder = decoders.get(topic)
    if (!decoder || record.value === null) return null
    try {
      return (await decoder.decode(record.value, record.headers[dataSchemaHeader])).workspaceId
    } catch {
      return null
    }
  }
}

async function eachLetter(
  connection: KafkaConnection,
  take: (place: Place, at: number, record: DeadLetterEntry['record']) => Promise<void>,
): Promise<void> {
  const bounds = await connection.offsets(deadLetterTopic.name)
  const left = new Map([...bounds].filter(([, { low, end }]) => end > low).map(([partition, { end }]) => [partition, end]))
  if (left.size === 0) return
  // A group of its own and no commits: reading changes nothing for anybody.
  const groupId = `replay-dead-letters-${randomUUID()}`
  const consumer = connection.consumer({ groupId, maxWaitTimeInMs: 500, allowAutoTopicCreation: false })
  let silence: NodeJS.Timeout | undefined
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [connection.physical(deadLetterTopic.name)], fromBeginning: true })
    await new Promise<void>((done, fail) => {
      const heard = (): void => {
        clearTimeout(silence)
        silence = setTimeout(
          () => fail(new Error(`the dead letters could not be read to their end within ${silentMs / 1_000} s`)),
          silentMs,
        )
      }
      heard()
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch: { partition, messages }, heartbeat }) => {
            heard()
            for (const message of messages) {
              const { offset, timestamp, key, value, headers = {} } = message
              if (!left.has(partition)) return
              if (isRecord(message)) await take({ partition, offset: Number(offset) }, Number(timestamp), { key, value, headers })
              if (Number(offset) + 1 >= left.get(partition)!) left.delete(partition)
            }
            if (left.size === 0) done()
            await heartbeat()
          },
        })
        .catch(fail)
    })
  } finally {
    clearTimeout(silence)
    await connection.release(consumer)
    await (await connection.admin()).deleteGroups([connection.topicPrefix + groupId]).catch(() => {})
  }
}

const wide = 70
const short = (text: string): string => (text.length > wide ? `${text.slice(0, wide - 1)}…` : text)

/** A key as it may be shown: outside producers may put a person's name there, so only ids of sequences are. */
const shownKey = (key: RawRecord['key']): string =>
  key !== null && isSequenceId(String(key)) ? String(key) : key === null ? '–' : '(hidden)'

/** The entries as lines of a table; `state` says what is true of each. */
export function tableOf(entries: readonly DeadLetterEntry[], state: (entry: DeadLetterEntry) => string): string[] {
  const rows = [
    ['when', 'topic', 'partition', 'offset', 'reason', 'detail', 'key', 'count', 'state'],
    ...entries.map((entry) => {
      const { at, topic, partition, offset, reason, detail, record, places } = entry
      return [
        new Date(at).toISOString(),
        topic,
        String(partition),
        offset,
        reason,
        short(detail),
        shownKey(record.key),
        String(places.length),
        state(entry),
      ]
    }),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
