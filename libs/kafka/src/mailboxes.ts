// A bounded mailbox per home partition, filled from several topics whose equal partitions belong together.
// For whoever keeps offsets in a database: nothing leaves a mailbox before the commit that covers it.
import { AssignerProtocol, type Assigner, type Consumer, type EachBatchPayload } from 'kafkajs'
import type { KafkaConnection } from './connection'
import { rawOf } from './consume'
import type { RawIncoming } from './deadLetter'
import { passedBy } from './fetchedBatches'

/** Where each topic of a partition is to be read from, by topic name. */
export type StartOffsets = Readonly<Record<string, number>>

/** What waits at the front of a mailbox. */
export interface Waiting {
  readonly records: readonly RawIncoming[]
  /** The offset that is reached when these are done; control records are counted. */
  readonly nextOffset: number
}

/** What the owner of partitions is told. */
export interface MailboxOwner {
  /** The partition is ours: answer where to read from. Asked again after every rebalance. A throw ends the process. */
  takeOver(partition: number): Promise<StartOffsets | null>
  /** The mailbox of a partition that was taken over holds something new. */
  arrived(partition: number): void
  /** The partition belongs to another process now. */
  lost(partition: number): void
  /** The group has given this process so many partitions; with more processes than partitions, none. */
  joined?(partitions: number): void
}

export interface MailboxOptions extends MailboxOwner {
  readonly topics: readonly string[]
  readonly groupId: string
}

// Per partition and topic. A turn takes a few thousand records; twice that keeps the next turn fed while memory stays
// bounded: 12 partitions × 2 topics × 8 MB are 192 MB at worst, and a fetch under way beside them.
const maxRecords = 8_000
const maxBytes = 8 * 1024 * 1024
// Of all mailboxes. Fetched bytes may be many more once they are decompressed: where so many wait, nothing else is read before they are done.
const maxBytesOfAll = 128 * 1024 * 1024
const commitEveryMs = 5_000

interface Chunk {
  records: RawIncoming[]
  nextOffset: number
}

class Mailbox {
  chunks: Chunk[] = []
  count = 0
  bytes = 0
  paused = true
  /** Everything before was committed by the owner. */
  head = 0
  /** Where the next chunk has to begin; null while the partition is being taken over. */
  tail: number | null = null

  get isFull(): boolean {
    return this.count >= maxRecords || this.bytes >= maxBytes
  }

  get isHalfEmpty(): boolean {
    return this.count <= maxRecords / 2 && this.bytes <= maxBytes / 2
  }

  empty(): void {
    this.chunks = []
    this.count = this.bytes = 0
    this.tail = null
  }
}

const sizeOf = ({ bytes, value, key }: RawIncoming): number => (bytes ?? (value?.length ?? 0) + (key?.length ?? 0)) + 100

const nameOf = (partition: number, topic: string): string => `${partition} ${topic}`
const partsOf = (name: string): [partition: number, topic: string] => {
  const space = name.indexOf(' ')
  return [Number(name.slice(0, space)), name.slice(space + 1)]
}

const assignerName = 'stepcast-co-partitioned'

/** Gives partition p of every topic to the same member, whatever the topics. */
const coPartitioned = (partitions: number) => (): Assigner => ({
  name: assignerName,
  version: 1,
  async assign({ members, topics }) {
    const ids = members.map(({ memberId }) => memberId).sort()
    return ids.map((memberId, index) => {
      const own = Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => partition % ids.length === index)
      const assignment = Object.fromEntries(topics.map((topic) => [topic, own]))
      return { memberId, memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }) }
    })
  },
  protocol: ({ topics }) => ({
    name: assignerName,
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics: [...topics], userData: Buffer.alloc(0) }),
  }),
})

/** The mailboxes of the partitions that this process owns. */
export class Mailboxes {
  private readonly boxes = new Map<string, Mailbox>()
  private readonly uncommitted = new Map<string, number>()
  private owned = new Set<number>()
  private generation = 0
  private commitTimer: NodeJS.Timeout | null = null
  private isCrowded = false
  /** Taken over by others, as far as the database knows; whose they are is said with the next heartbeat or join. */
  private readonly unsure = new Set<number>()

  private consumer!: Consumer

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: MailboxOptions,
  ) {}

  /** Joins the group and begins to fill mailboxes. The owner may be called before this answers. */
  async open(): Promise<void> {
    const { connection, options } = this
    const partitions = await connection.partitionsOf(options.topics[0]!)
    const consumer = connection.consumer({
      groupId: options.groupId,
      partitionAssigners: [coPartitioned(partitions)],
      sessionTimeout: 10_000,
      rebalanceTimeout: 15_000,
      heartbeatInterval: 2_000,
      // The longest poll of an idle topic (ten a second cost 4 % of a core, broker included, four 1.5 %), and how long the client sleeps
      // while all partitions are paused: a mailbox resumed at half holds more work than that.
      maxWaitTimeInMs: 250,
      maxBytesPerPartition: 1024 * 1024,
      allowAutoTopicCreation: false,
    })
    this.consumer = consumer
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.joined(Object.values(payload.memberAssignment).flat()))
    consumer.on(consumer.events.HEARTBEAT, () => this.confirmed())
    await consumer.connect()
    await consumer.subscribe({ topics: options.topics.map((topic) => connection.physical(topic)), fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: partitions * options.topics.length,
      // Only fills a mailbox: the fetch loop waits for all batches of the last fetch.
      eachBatch: async ({ batch, heartbeat }: EachBatchPayload) => {
        const { fetchedOffset } = batch as unknown as { fetchedOffset: string }
        const topic = this.logical(batch.topic)
        // Offsets without records only move the offset.
        const records = batch.messages.filter((message) => passedBy(message)?.why !== null)
        this.accept(
          batch.topic,
          batch.partition,
          Number(fetchedOffset),
          Number(batch.lastOffset()) + 1,
          records.map((message) => rawOf(topic, batch.partition, message)),
        )
        await heartbeat()
      },
    })
    // Not a reason to stay: a process whose connection is closed may end.
    this.commitTimer = setInterval(() => void this.commit(), commitEveryMs).unref()
  }

  /** At most `max` records from the front of a mailbox; they stay there until {@link done}. */
  peek(partition: number, topic: string, max: number): Waiting {
    const box = this.box(partition, topic)
    const records: RawIncoming[] = []
    let nextOffset = box.head
    for (const chunk of box.chunks) {
      const room = max - records.length
      if (chunk.records.length <= room) {
        for (const record of chunk.records) records.push(record)
        nextOffset = chunk.nextOffset
        continue
      }
      if (room > 0) {
        for (let i = 0; i < room; i++) records.push(chunk.records[i]!)
        nextOffset = chunk.records[room - 1]!.offset + 1
      }
      break
    }
    return { records, nextOffset }
  }

  /** How many records wait. Zero with something to do means control records only: see {@link behind}. */
  waiting(partition: number, topic: string): number {
    return this.box(partition, topic).count
  }

  /** Whether anything waits, control records included. */
  behind(partition: number, topic: string): boolean {
    return this.box(partition, topic).chunks.length > 0
  }

  /** Everything before `nextOffset` is committed: it leaves the mailbox, and reading goes on when that is half empty. */
  done(partition: number, topic: string, nextOffset: number): void {
    const box = this.box(partition, topic)
    box.head = Math.max(box.head, nextOffset)
    this.uncommitted.set(nameOf(partition, topic), box.head)
    while (box.chunks.length > 0) {
      const chunk = box.chunks[0]!
      const leaving = chunk.nextOffset <= nextOffset ? chunk.records.length : chunk.records.findIndex(({ offset }) => offset >= nextOffset)
      const gone = leaving < 0 ? chunk.records.length : leaving
      for (let i = 0; i < gone; i++) box.bytes -= sizeOf(chunk.records[i]!)
      box.count -= gone
      if (chunk.nextOffset > nextOffset) {
        if (gone > 0) chunk.records = chunk.records.slice(gone)
        break
      }
      box.chunks.shift()
    }
    if (box.paused && box.tail !== null && box.isHalfEmpty) this.resume(partition, topic, box)
  }

  /** Empties a partition's mailboxes and reads again from these offsets: the one way back after any error. */
  reset(partition: number, offsets: StartOffsets): void {
    if (!this.owned.has(partition)) return
    for (const topic of this.options.topics) this.readFrom(partition, topic, offsets[topic]!)
  }

  /**
   * Has a partition taken over anew if it is still assigned to this process: once the group has said so. A process that was stopped or cut off
   * remembers what others own by now, and would take it from them again and again.
   */
  takeOverAgain(partition: number): void {
    this.unsure.add(partition)
  }

  /** Leaves the group. */
  async close(): Promise<void> {
    if (this.commitTimer) clearInterval(this.commitTimer)
    await this.commit()
    await this.connection.release(this.consumer)
  }

  private readonly logical = (physical: string): string => physical.slice(this.connection.topicPrefix.length)

  private box(partition: number, topic: string): Mailbox {
    const name = nameOf(partition, topic)
    let box = this.boxes.get(name)
    if (!box) this.boxes.set(name, (box = new Mailbox()))
    return box
  }

  // Called synchronously with the join: everything is paused before the first fetch, because the client does not wait for
  // listeners, resets all partitions to the group's offsets and keeps what was paused before.
  private joined(assigned: readonly number[]): void {
    const generation = ++this.generation
    const now = new Set(assigned)
    this.unsure.clear()
    for (const partition of this.owned) {
      if (now.has(partition)) continue
      for (const topic of this.options.topics) this.box(partition, topic).empty()
      this.options.lost(partition)
    }
    this.owned = now
    this.options.joined?.(now.size)
    for (const partition of now) this.shut(partition)
    for (const partition of now) this.begin(partition, generation)
  }

  // The group knows this process, and what it was given last is still its own.
  private confirmed(): void {
    for (const partition of this.unsure) {
      if (!this.owned.has(partition)) continue
      this.shut(partition)
      this.begin(partition, this.generation)
    }
    this.unsure.clear()
  }

  private shut(partition: number): void {
    for (const topic of this.options.topics) {
      this.box(partition, topic).empty()
      this.pause(partition, topic)
    }
  }

  private begin(partition: number, generation: number): void {
    this.options.takeOver(partition).then(
      (offsets) => {
        if (generation !== this.generation || offsets === null) return
        this.reset(partition, offsets)
        this.options.arrived(partition)
      },
      (error: Error) => this.connection.fatal(error),
    )
  }

  private accept(physical: string, partition: number, fetchedOffset: number, nextOffset: number, records: RawIncoming[]): void {
    const topic = this.logical(physical)
    const box = this.box(partition, topic)
    if (box.tail === null) return
    if (nextOffset <= box.tail) return
    // Chunks must join. One that does not is from before a seek or a rebalance: read again from where we are.
    if (fetchedOffset !== box.tail) return this.readFrom(partition, topic, box.head)
    box.chunks.push({ records, nextOffset })
    box.tail = nextOffset
    box.count += records.length
    for (const record of records) box.bytes += sizeOf(record)
    if (box.isFull) this.pause(partition, topic)
    // Only a large chunk asks for the sum: small ones fill their own mailbox first.
    if (box.isFull && !this.isCrowded && this.bytesOfAll() >= maxBytesOfAll) this.holdOn()
    this.options.arrived(partition)
  }

  private bytesOfAll(): number {
    let bytes = 0
    for (const box of this.boxes.values()) bytes += box.bytes
    return bytes
  }

  // What waits is done without reading on, so this ends by itself.
  private holdOn(): void {
    this.isCrowded = true
    for (const [name, box] of this.boxes) if (!box.paused) this.pause(...partsOf(name))
  }

  private readOn(): void {
    if (this.bytesOfAll() > maxBytesOfAll / 2) return
    this.isCrowded = false
    for (const [name, box] of this.boxes) if (box.paused && box.tail !== null && box.isHalfEmpty) this.resume(...partsOf(name), box)
  }

  private readFrom(partition: number, topic: string, offset: number): void {
    const box = this.box(partition, topic)
    box.empty()
    box.head = box.tail = offset
    this.consumer.seek({ topic: this.connection.physical(topic), partition, offset: String(offset) })
    this.resume(partition, topic, box)
  }

  private pause(partition: number, topic: string): void {
    this.box(partition, topic).paused = true
    this.consumer.pause([{ topic: this.connection.physical(topic), partitions: [partition] }])
  }

  private resume(partition: number, topic: string, box: Mailbox): void {
    if (this.isCrowded) return this.readOn()
    box.paused = false
    this.consumer.resume([{ topic: this.connection.physical(topic), partitions: [partition] }])
  }

  // For lag monitors only; nothing is ever read from there. A rebalance in between makes it fail, which does not matter.
  private async commit(): Promise<void> {
    const offsets = [...this.uncommitted]
      .map(([name, offset]) => {
        const [partition, topic] = partsOf(name)
        return { partition, topic: this.connection.physical(topic), offset: String(offset) }
      })
      .filter(({ partition }) => this.owned.has(partition))
    this.uncommitted.clear()
    if (offsets.length === 0) return
    await this.consumer
      .commitOffsets(offsets)
      .catch((error: Error) => this.connection.log.debug({ error: error.message }, 'offsets for lag monitors were not committed'))
  }
}
