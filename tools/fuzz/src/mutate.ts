// Random mutations of every record kind on every topic, drawn from a seed. Pure: the same seed and clock give the same records.
import {
  avroSchemas,
  avroTypes,
  deadLetterTopic,
  instantProblem,
  maxMessageBytes,
  partitionOf,
  topics,
  wireHeader,
  type Topic,
} from '@stepcast/contracts'
import { avroBytes, batchOf, codecs, type BatchFront, type Random, type RawHeader, type Schema, type WireRecord } from '@stepcast/chaos'
import { clocks, fieldMutations, texts } from './boundaries'
import { allTopics, attacked, Bases, type Base, type Known } from './records'

/**
 * What must come of a shot's records, once the broker has them: each becomes one dead letter; none does; either; or nobody may ever
 * see them, since their transaction was aborted.
 */
export type Expected = 'letter' | 'used' | 'either' | 'invisible'

/** Records that go to one topic-partition in one request. */
export interface Shot {
  /** Stands in the header {@link idHeader} of each of its records. */
  readonly id: string
  /** The family and what was done, `bytes/flip`. */
  readonly kind: string
  readonly topic: string
  readonly partition: number
  readonly records: readonly WireRecord[]
  readonly front: BatchFront
  readonly transaction: 'committed' | 'aborted' | null
  readonly expected: Expected
  /** Sequences that must start, and that must not. */
  readonly starts: readonly string[]
  readonly neverStarts: readonly string[]
}

/** The header by which a dead letter is known again. */
export const idHeader = 'fuzz-id'

/** What the mutations are drawn from. */
export interface MutatorOptions {
  readonly random: Random
  /** Parts the names of this run from those of others. */
  readonly run: string
  readonly partitions: number
  readonly now: () => number
  /** The schema id of each topic by its name. */
  readonly schemaIds: ReadonlyMap<string, number>
  readonly known: () => Known
  /** Good records of the neighbour as they were put on their topics: repeated, they must change nothing. */
  readonly repeatable: () => readonly { readonly topic: string; readonly partition: number; readonly record: WireRecord }[]
}

// How often of two hundred; one burst is 5 MB, a size up to 4 MB, a bomb 66 MB to whoever unpacks it.
const weights = {
  fields: 74,
  bytes: 28,
  headers: 24,
  codecs: 18,
  keys: 14,
  clocks: 14,
  repeats: 10,
  schemaIds: 8,
  transactions: 5,
  sizes: 3,
  deadLetters: 3,
  bursts: 1,
  bombs: 1,
} as const
/** A family of mutations. */
export type Family = keyof typeof weights
/** Every family there is. */
export const families = Object.keys(weights) as readonly Family[]

const rememberedShots = 100
const bombBytes = 66 * 1024 * 1024
const header = (name: string | Buffer, value: string | Buffer | null): RawHeader => [
  name,
  typeof value === 'string' ? Buffer.from(value) : value,
]

interface Making {
  readonly kind: string
  readonly topic: { readonly name: string; readonly partitions: 'home' | 'single' }
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly RawHeader[]
  readonly partition?: number
  readonly front?: BatchFront
  readonly transaction?: Shot['transaction']
  readonly expected: Expected
  readonly starts?: readonly string[]
  readonly neverStarts?: readonly string[]
}

/** Draws shots without end. */
export class Mutator {
  private readonly bases: Bases
  private readonly decks = new Map<string, unknown[]>()
  private readonly sequences: string[] = []
  private readonly earlier: Shot[] = []
  private shots = 0

  constructor(private readonly options: MutatorOptions) {
    const { random, run, now, known } = options
    this.bases = new Bases(run, random, now, () => ({ sequences: this.sequences, foreign: known().foreign }), options.partitions)
  }

  /** The next one; several that belong together, in their order. */
  next(): readonly Shot[] {
    const family = this.draw('family', () => families.flatMap((name) => Array.from({ length: weights[name] }, () => name)))
    const shots = this.of(family)
    this.earlier.push(...shots.filter(({ records }) => records.every(({ value }) => (value?.length ?? 0) < 10_000)))
    if (this.earlier.length > rememberedShots) this.earlier.splice(0, this.earlier.length - rememberedShots)
    return shots
  }

  /** A good record for every partition of every topic, to be read by whoever still reads. */
  flush(): readonly Shot[] {
    return allTopics.flatMap((topic) =>
      Array.from({ length: topic.partitions === 'single' ? 1 : this.options.partitions }, (_, partition) => {
        const base = this.harmless(topic, partition)
        return this.shot({ kind: 'flush', ...homeOf(base), partition, value: this.encoded(base), expected: 'used', ...startsOf(base) })
      }),
    )
  }

  private of(family: Family): readonly Shot[] {
    switch (family) {
      case 'fields':
        return [this.fields()]
      case 'bytes':
        return [this.bytes()]
      case 'headers':
        return [this.headers()]
      case 'codecs':
        return [this.codecs()]
      case 'keys':
        return [this.keys()]
      case 'clocks':
        return [this.clocks()]
      case 'repeats':
        return [this.repeats()]
      case 'schemaIds':
        return [this.schemaIds()]
      case 'transactions':
        return [this.transactions()]
      case 'sizes':
        return [this.sizes()]
      case 'deadLetters':
        return [this.deadLetters()]
      case 'bursts':
        return this.bursts()
      case 'bombs':
        return [this.bombs()]
    }
  }

  // ── Families ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private bytes(): Shot {
    const { random } = this.options
    const [topic, how] = [
      this.draw('topics of bytes', () => allTopics),
      this.draw('bytes', () => ['flip', 'cut', 'append', 'random', 'noSense', 'empty', 'null', 'zeros'] as const),
    ]
    const base = this.bases.of(topic)
    const good = this.encoded(base)
    const [at, noise] = [random.below(good.length), random.bytes(1 + random.below(64))]
    const kind = `bytes/${how}`
    const make = (value: Buffer | null, expected: Expected): Shot => this.shot({ kind, ...homeOf(base), value, expected })
    switch (how) {
      case 'flip': {
        const flipped = Buffer.from(good)
        flipped[at] = flipped[at]! ^ (1 << random.below(8))
        return make(flipped, 'either')
      }
      case 'cut':
        return make(good.subarray(0, at), 'either')
      case 'append':
        return make(Buffer.concat([good, noise]), 'either')
      case 'random':
        return make(noise, 'either')
      case 'noSense':
        return make(this.garbage(50), 'letter')
      case 'empty':
        return make(Buffer.alloc(0), 'letter')
      case 'zeros':
        return make(Buffer.concat([good.subarray(0, 5), Buffer.alloc(at)]), 'either')
      case 'null':
        return make(null, topic.cleanup === 'compact' ? 'either' : 'letter')
    }
  }

  private fields(): Shot {
    const now = this.options.now()
    const mutationsOf = (base: Base) => fieldMutations(avroSchemas[base.topic.record] as Schema, base.value, now)
    // One topic after another: some records have many more fields than others.
    const topic = this.draw('fields', () => allTopics)
    const base = this.bases.of(topic)
    const mutations = mutationsOf(base)
    // Records of one topic may differ in their branches, and so in how many mutations they have.
    const number = this.draw(`fields of ${topic.record}`, () => mutations.map((_, index) => index))
    const { path, value } = mutations[number % mutations.length]!
    const bytes = this.wired(topic, avroBytes(avroSchemas[topic.record] as Schema, value))
    return this.shot({ kind: `fields/${topic.record}${path}`, ...homeOf(base), value: bytes, expected: 'either' })
  }

  private keys(): Shot {
    const { random } = this.options
    const [topic, how] = [
      this.draw('topics of keys', () => allTopics),
      this.draw('keys', () => ['null', 'empty', 'nul', 'notUtf8', 'other', 'slashes', 'long'] as const),
    ]
    const base = this.bases.of(topic)
    const keys: Readonly<Record<typeof how, Buffer | null>> = {
      null: null,
      empty: Buffer.alloc(0),
      nul: Buffer.from('a\0b'),
      notUtf8: Buffer.from([0xff, 0xfe]),
      other: random.bytes(16),
      slashes: Buffer.from(`${attacked}//`),
      long: Buffer.alloc(70_000, 'x'),
    }
    // Where any key will do, the record does what it always does.
    const isFree = topic === topics.sends || topic === topics.controls
    // A report needs no key either, but whether it can be used is another question.
    const expected = isFree ? 'used' : how === 'null' && topic !== topics.engagements ? 'letter' : 'either'
    return this.shot({ kind: `keys/${how}`, ...homeOf(base), key: keys[how], value: this.encoded(base), expected, ...startsOf(base) })
  }

  private headers(): Shot {
    const [topic, how] = [
      this.draw('topics of headers', () => allTopics),
      this.draw('headers', () => headerMutations.map((_, index) => index)),
    ]
    const mutation = headerMutations[how]!
    // Half of them on a record that must become a dead letter with all its headers, half on a good one.
    const base = this.bases.of(topic)
    const isGood = this.options.random.chance(0.5)
    const value = isGood ? this.encoded(base) : this.garbage(40)
    const headers = mutation.headers
    return this.shot({ kind: `headers/${mutation.name}`, ...homeOf(base), value, headers, expected: isGood ? 'either' : 'letter' })
  }

  private codecs(): Shot {
    const how = [...codecs.filter((codec) => codec !== 'none'), 'corrupt', 'cut', 'otherCodec', 'unknownCodec'] as const
    const [topic, which] = [this.draw('topics of codecs', () => allTopics), this.draw('codecs', () => how)]
    const base = this.harmless(topic)
    const make = (front: BatchFront, expected: Expected): Shot =>
      this.shot({
        kind: `codecs/${which}`,
        ...homeOf(base),
        value: this.encoded(base),
        front,
        expected,
        ...(expected === 'used' && startsOf(base)),
      })
    const codec = this.options.random.pick(codecs.filter((one) => one !== 'none'))
    switch (which) {
      case 'corrupt':
        return make({ codec, broken: (bytes) => Buffer.from(bytes.map((byte, at) => (at % 7 === 3 ? byte ^ 0x55 : byte))) }, 'letter')
      case 'cut':
        return make({ codec, broken: (bytes) => bytes.subarray(0, bytes.length >> 1) }, 'letter')
      case 'otherCodec':
        return make({ codec: 'gzip', codecId: this.options.random.pick([2, 3, 4]) }, 'letter')
      case 'unknownCodec':
        return make({ codecId: this.options.random.pick([5, 6, 7]) }, 'letter')
      case 'gzip':
      case 'snappy':
      case 'snappy-java':
      case 'lz4':
      case 'zstd':
        return make({ codec: which }, 'used')
    }
  }

  private clocks(): Shot {
    const { now } = this.options
    const places = ['record', 'requestedAt', 'occurredAt', 'cancelledAt'] as const
    const [place, number] = this.draw('clocks', () =>
      pairs(
        places,
        clocks(0).map((_, index) => index),
      ),
    )
    const at = clocks(now())[number]!
    const kind = `clocks/${place}`
    const bytesOf = (base: Base, more: object): Buffer => this.encoded({ ...base, value: { ...base.value, ...more } })
    const isSend = place === 'record' || place === 'requestedAt'
    const base = isSend ? this.steadySend() : place === 'occurredAt' ? this.bases.of(topics.engagements) : this.bases.of(topics.controls)
    const key = Buffer.from(base.key)
    if (place === 'record')
      return this.shot({
        kind,
        topic: base.topic,
        key,
        value: this.encoded(base),
        front: { timestamp: at },
        expected: 'used',
        ...startsOf(base),
      })
    const isTaken = instantProblem(at) === null
    const value = bytesOf(base, place === 'occurredAt' ? { occurredAt: at } : { requestedAt: at })
    // Reports of messages that nobody knows may also be set aside for other reasons.
    const expected = !isTaken ? 'letter' : place === 'occurredAt' ? 'either' : 'used'
    return this.shot({ kind, topic: base.topic, key, value, expected, ...(isTaken && startsOf(base)) })
  }

  private schemaIds(): Shot {
    const [topic, how] = [
      this.draw('topics of schemaIds', () => allTopics),
      this.draw('schemaIds', () => ['zero', 'unknown', 'negative', 'ofAnother', 'noHeader'] as const),
    ]
    const base = this.bases.of(topic)
    const [body, other] = [
      this.encoded(base).subarray(5),
      this.options.random.pick(allTopics.filter(({ record }) => record !== topic.record)),
    ]
    const headers: Readonly<Record<typeof how, Buffer>> = {
      zero: wireHeader(0),
      unknown: wireHeader(0x7fffffff),
      negative: wireHeader(-1),
      ofAnother: wireHeader(this.options.schemaIds.get(other.name)!),
      noHeader: Buffer.alloc(0),
    }
    const expected = how === 'unknown' ? 'letter' : 'either'
    return this.shot({ kind: `schemaIds/${how}`, ...homeOf(base), value: Buffer.concat([headers[how], body]), expected })
  }

  private transactions(): Shot {
    const how = this.draw('transactions', () => ['goodCommitted', 'goodAborted', 'badCommitted', 'badAborted'] as const)
    const base = this.steadySend()
    const isGood = how.startsWith('good')
    const transaction = how.endsWith('Committed') ? 'committed' : 'aborted'
    return this.shot({
      kind: `transactions/${how}`,
      topic: topics.sends,
      key: Buffer.from(base.key),
      value: isGood ? this.encoded(base) : this.garbage(30),
      transaction,
      expected: transaction === 'aborted' ? 'invisible' : isGood ? 'used' : 'letter',
      ...(isGood && (transaction === 'aborted' ? { neverStarts: [base.sequenceId!] } : startsOf(base))),
    })
  }

  private repeats(): Shot {
    const { random, repeatable } = this.options
    const [how, dice] = [
      this.draw('repeats', () => ['again', 'again', 'together', 'ofTheNeighbour', 'ofTheNeighbour'] as const),
      random.next(),
    ]
    const good = repeatable()
    if (how === 'ofTheNeighbour' && good.length > 0) {
      const { topic, partition, record } = good[Math.floor(dice * good.length)]!
      const { key, value } = record
      return this.shot({
        kind: 'repeats/ofTheNeighbour',
        topic: { name: topic, partitions: 'home' },
        partition,
        key,
        value,
        expected: 'used',
      })
    }
    const of = this.earlier.filter(({ transaction }) => transaction === null)
    const one = of[Math.floor(dice * of.length)]
    if (one === undefined) return this.bytes()
    const id = this.id()
    // Some of one topic-partition in the other order, in one batch.
    const some =
      how === 'together'
        ? of
            .filter(({ topic, partition }) => topic === one.topic && partition === one.partition)
            .slice(-5)
            .reverse()
        : [one]
    const records = some
      .flatMap((shot) => shot.records)
      .map((record) => ({ ...record, headers: [...record.headers.filter(([name]) => name !== idHeader), header(idHeader, id)] }))
    return {
      ...one,
      id,
      kind: `repeats/${how === 'ofTheNeighbour' ? 'again' : how}`,
      records,
      front: some.length === 1 ? one.front : {},
      starts: [],
      neverStarts: [],
      expected: some.length === 1 && one.expected === 'letter' ? 'letter' : 'either',
    }
  }

  private sizes(): Shot {
    const how = ['value', 'headers', 'gzipped', 'deadWeight', 'variables', 'quarter', 'mega'] as const
    const which = this.draw('sizes', () => how)
    const topic = this.draw('topics of sizes', () => [topics.sends, topics.engagements, topics.controls, topics.pushCommands, topics.users])
    const less =
      which === 'value' || which === 'headers'
        ? this.draw('bytes less', () => [0, 20, 60, 110, 150, 200, 260, 400])
        : this.draw('bytes more', () => [0, 1])
    const base = this.harmless(topic)
    const key = Buffer.from(base.key)
    const kind = `sizes/${which}${less === 0 ? '' : `-${less}`}`
    const fits = (make: (bytes: number) => Shot): Shot => {
      // What surrounds the padding does not grow with it, but for the lengths, which are of the same length near the limit.
      const around = sizeOf(make(4_000_000)) - 4_000_000
      return make(maxMessageBytes - around - less)
    }
    switch (which) {
      case 'value':
        return fits((bytes) => this.shot({ kind, topic, key, value: this.garbage(bytes), expected: 'letter' }))
      case 'headers':
        return fits((bytes) =>
          this.shot({
            kind,
            topic,
            key,
            value: this.encoded(base),
            headers: [header('pad', Buffer.alloc(bytes, 'x'))],
            expected: 'either',
          }),
        )
      case 'deadWeight':
        return this.shot({
          kind,
          topic,
          key,
          value: this.garbage(40),
          headers: [header('pad', Buffer.alloc(4_100_000, 'x'))],
          expected: 'letter',
        })
      case 'gzipped':
        return this.shot({
          kind,
          topic,
          key,
          value: this.garbage(6_000_000),
          front: { codec: this.options.random.pick(['gzip', 'zstd', 'lz4', 'snappy-java']) },
          expected: 'letter',
        })
      case 'variables': {
        const send = this.steadySend()
        const variables = { orderNo: 'x'.repeat(64 * 1024 - 'orderNo'.length + less) }
        const value = this.encoded({ ...send, value: { ...send.value, variables } })
        return this.shot({
          kind,
          topic: topics.sends,
          key,
          value,
          expected: less === 0 ? 'used' : 'letter',
          ...(less === 0 && startsOf(send)),
        })
      }
      case 'quarter':
        return this.shot({ kind, topic, key, value: this.garbage(256 * 1024 + less * 1_000), expected: 'letter' })
      case 'mega':
        return this.shot({ kind, topic, key, value: this.garbage(1024 * 1024 + less * 1_000), expected: 'letter' })
    }
  }

  /** Dead letters that nobody of ours wrote: nothing reads that topic but operators. */
  private deadLetters(): Shot {
    const how = this.draw('deadLetters', () => ['noSense', 'null', 'forged'] as const)
    const topic = { name: deadLetterTopic.name, partitions: 'home' as const }
    const headers = how === 'forged' ? ['topic', 'partition', 'offset', 'reason', 'detail'].map((name) => header(name, 'a\0b')) : []
    return this.shot({
      kind: `deadLetters/${how}`,
      topic,
      key: null,
      value: how === 'null' ? null : this.garbage(30),
      headers,
      expected: 'either',
    })
  }

  /** So many early reports of one sequence, each within its limit, that together they do not fit into one record; then its send. */
  private bursts(): readonly Shot[] {
    const send = this.bases.send(`burst-${this.options.random.below(1_000)}`)
    const wide = { ...send, value: { ...send.value, templateId: 'wide' } }
    const partition = partitionOf(send.sequenceId!, this.options.partitions)
    const reports = pairs(['in_app', 'push', 'sms', 'kakao'], ['requested', 'delivered', 'viewed', 'clicked', 'unknown', 'failed']).slice(
      0,
      21,
    )
    const shots = reports.map(([channel, kindOfReport]) => {
      const report = this.bases.engagement(`${send.sequenceId}.1.${channel}`, { pad: 'x'.repeat(250_000) })
      const value = this.encoded({ ...report, value: { ...report.value, kind: kindOfReport } })
      return this.shot({
        kind: 'bursts/early',
        topic: topics.engagements,
        partition,
        key: Buffer.from(send.key),
        value,
        expected: 'either',
      })
    })
    return [
      ...shots,
      this.shot({
        kind: 'bursts/send',
        topic: topics.sends,
        partition,
        key: Buffer.from(send.key),
        value: this.encoded(wide),
        expected: 'used',
        ...startsOf(wide),
      }),
    ]
  }

  /** Little on the wire, more than anybody should unpack. */
  private bombs(): Shot {
    const [topic, codec] = this.draw('bombs', () =>
      pairs([topics.sends, topics.engagements, topics.controls, topics.users, topics.inAppCommands, topics.sequences], [
        'gzip',
        'zstd',
        'lz4',
      ] as const),
    )
    return this.shot({
      kind: `bombs/${codec}`,
      topic,
      key: Buffer.from(this.bases.of(topic).key),
      value: (bomb ??= Buffer.alloc(bombBytes)),
      front: { codec },
      expected: 'letter',
    })
  }

  // ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private shot({
    kind,
    topic,
    key,
    value,
    headers = [],
    partition,
    front = {},
    transaction = null,
    expected,
    starts = [],
    neverStarts = [],
  }: Making): Shot {
    const { random, partitions } = this.options
    const id = this.id()
    this.sequences.push(...starts)
    const drawn = random.below(partitions)
    const safe = topic.name === topics.sequences.name && isPositioned(value) ? this.garbage(20) : value
    return {
      id,
      kind,
      topic: topic.name,
      partition: topic.partitions === 'single' ? 0 : (partition ?? drawn),
      records: [{ key, value: safe, headers: [...headers, header(idHeader, id)] }],
      front,
      transaction,
      expected: safe === value ? expected : 'letter',
      starts,
      neverStarts,
    }
  }

  private id(): string {
    return `${this.options.run}-${++this.shots}`
  }

  private encoded(base: Base): Buffer {
    return this.wired(base.topic, avroBytes(avroSchemas[base.topic.record] as Schema, base.value))
  }

  private wired(topic: Topic, body: Buffer): Buffer {
    return Buffer.concat([wireHeader(this.options.schemaIds.get(topic.name)!), body])
  }

  private garbage(bytes: number): Buffer {
    const all = Buffer.alloc(bytes, this.options.random.bytes(32))
    all[0] = 0xff
    return all
  }

  /** A good record that nobody refuses, whatever was sent before. */
  private harmless(topic: Topic, partition?: number): Base {
    const base = this.bases.of(topic, partition)
    if (topic === topics.sends) return this.steadySend()
    if (topic === topics.controls) return { ...base, value: { ...base.value, scope: 'send', id: 'nobody' } }
    if (topic === topics.engagements) return this.bases.engagement(`${this.bases.send('nobody').sequenceId}.1.in_app`)
    return base
  }

  /** A good send of somebody whom no mutated record names. */
  private steadySend(): Base {
    return this.bases.send(`steady-${this.options.random.below(200)}`)
  }

  /** The next card of a deck; a deck that is used up is made and shuffled anew, so that everything in it comes before anything comes again. */
  private draw<T>(name: string, make: () => readonly T[]): T {
    let deck = this.decks.get(name)
    if (deck === undefined || deck.length === 0) this.decks.set(name, (deck = this.options.random.shuffled(make())))
    return deck.pop() as T
  }
}

let bomb: Buffer | null = null

const startsOf = ({ sequenceId }: Base): { readonly starts?: readonly string[] } =>
  sequenceId === undefined ? {} : { starts: [sequenceId] }

const homeOf = ({ topic, key, partition }: Base): Pick<Making, 'topic' | 'key' | 'partition'> => ({
  topic,
  key: Buffer.from(key),
  ...(partition !== undefined && { partition }),
})

const sizeOf = ({ records, front }: Shot): number => batchOf(records, 0, front).length

function pairs<A, B>(as: readonly A[], bs: readonly B[]): (readonly [A, B])[] {
  return as.flatMap((a) => bs.map((b) => [a, b] as const))
}

/** Whether a change would count: its position is above every one there is. Such a record is the orchestrator's alone. */
function isPositioned(value: Buffer | null): boolean {
  if (value === null) return false
  try {
    return (avroTypes.SequenceChanged.fromBuffer(value.subarray(5), undefined, true) as { logPosition: number }).logPosition > 0
  } catch {
    return false
  }
}

const traceparents = ['', 'x', '00-', '00-0-0-0', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, 'a\0b', '\n', 'x'.repeat(20_000)]
const origins = (topic: string, partition: string, offset: string): RawHeader[] => [
  header('origin-topic', topic),
  header('origin-partition', partition),
  header('origin-offset', offset),
]

const headerMutations: readonly { readonly name: string; readonly headers: readonly RawHeader[] }[] = [
  ...texts.filter((text) => text.length < 1_000).map((name, index) => ({ name: `name#${index}`, headers: [header(name, 'x')] })),
  ...texts.map((value, index) => ({ name: `value#${index}`, headers: [header('x', value)] })),
  { name: 'null', headers: [header('x', null)] },
  { name: 'twice', headers: [header('x', '1'), header('x', '2')] },
  { name: 'thousand', headers: Array.from({ length: 1_000 }, () => header('x', 'y')) },
  { name: 'many', headers: Array.from({ length: 5_000 }, (_, index) => header(`h${index}`, 'y')) },
  { name: 'mega', headers: [header('x', Buffer.alloc(1024 * 1024, 'y'))] },
  ...traceparents.map((value, index) => ({ name: `traceparent#${index}`, headers: [header('traceparent', value)] })),
  { name: 'traceparents', headers: [header('traceparent', 'a'), header('traceparent', 'b')] },
  { name: 'origin', headers: origins(topics.users.name, '0', '0') },
  { name: 'originNul', headers: origins('a\0b', 'a\0b', 'a\0b') },
  { name: 'originNumbers', headers: origins(topics.sends.name, '-1', '1e309') },
  { name: 'originLong', headers: origins('x'.repeat(100_000), 'NaN', '') },
  { name: 'originNull', headers: [header('origin-topic', null), header('origin-partition', null), header('origin-offset', null)] },
  ...['ce_id', 'ce_type', 'ce_source', 'ce_time', 'ce_specversion', 'content-type'].map((name) => ({
    name,
    headers: [header(name, 'a\0b'), header(name, Buffer.from([0xff]))],
  })),
  {
    name: 'letter',
    headers: ['topic', 'partition', 'offset', 'reason', 'detail', 'value-sha256', 'value-bytes'].map((name) => header(name, 'forged')),
  },
]
