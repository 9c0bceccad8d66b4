// What the client knows of its brokers, beneath its producer or its admin: partitions and offsets for a request a leader.
import type { Kafka } from 'kafkajs'
import { missingOnGroups, missingOnTopics, type ClientBroker, type MissingRight } from './rights'

/** The client's own object, as far as it is used here. */
export interface ClientCluster {
  findBroker(node: { nodeId: string }): Promise<ClientBroker>
  getNodeIds(): readonly string[]
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[]
  fetchTopicsOffset(
    topics: readonly { topic: string; fromBeginning: boolean; partitions: readonly { partition: number }[] }[],
  ): Promise<readonly { partitions: readonly { partition: number; offset: string }[] }[]>
}

const patienceMs = 15_000
const againAfterMs = 100
const inTimeMs = 1_000
// A broker that is no leader any more says so, unless it is cut off from the others and does not know: for so long it is believed.
const leadersForMs = 5_000

/** Makes a producer or an admin, and gives what lies beneath: neither hands it out. */
export function withBrokers<Made>(kafka: Kafka, make: () => Made): { readonly made: Made; readonly brokers: Brokers } {
  const own = kafka as unknown as Record<symbol, (options: object) => ClientCluster>
  const name = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster')
  if (name === undefined) throw new Error('this version of the Kafka client makes its cluster elsewhere')
  const create = own[name]!
  let cluster: ClientCluster | undefined
  own[name] = (options) => (cluster = create(options))
  try {
    const made = make()
    return { made, brokers: new Brokers(cluster!) }
  } finally {
    own[name] = create
  }
}

/** Topics by their names on the broker. A topic just made, or a broker just back, has no leader for some moments: 15 s are waited. */
export class Brokers {
  private leadersAt = 0
  private closed = false
  private learning = false

  constructor(private readonly cluster: ClientCluster) {}

  /** How many partitions a topic has; asks no broker where the client knows. It learns anew every five minutes and after a failure. */
  partitionsOf(topic: string): Promise<number> {
    return this.patiently(async () => {
      await this.cluster.addTargetTopic(topic)
      return this.known(topic).length
    })
  }

  /** The first offset kept, or the one after the last record, of every partition, asked of the leaders after this call began. */
  offsets(topic: string, of: 'first' | 'end'): Promise<ReadonlyMap<number, number>> {
    return this.patiently(async () => {
      await this.cluster.addTargetTopic(topic)
      if (Date.now() - this.leadersAt > leadersForMs) await this.learn()
      const partitions = this.known(topic).map(({ partitionId }) => ({ partition: partitionId }))
      const [found] = await this.cluster.fetchTopicsOffset([{ topic, fromBeginning: of === 'first', partitions }])
      return new Map(found!.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
    })
  }

  /**
   * The ends of those partitions whose leaders answer within a second, each asked apart: one without a leader, or a leader that hangs, is
   * missing and keeps nobody waiting. Leaders are learned anew behind it.
   */
  async endsInTime(topic: string): Promise<ReadonlyMap<number, number>> {
    if (this.closed) throw Object.assign(new Error('the connection is closed'), { retriable: true })
    const ends = new Map<number, number>()
    let isOver = false
    const asking = this.askEachLeader(topic, (partition, end) => {
      if (!isOver) ends.set(partition, end)
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, inTimeMs, false)
    })
    const isComplete = await Promise.race([asking, late]).finally(() => clearTimeout(timer))
    isOver = true
    if (!isComplete) this.learnBehind()
    return ends
  }

  /** What of topics that exist, and of groups, may not be read or written by us. */
  async missingRights(topics: readonly string[], groups: readonly string[]): Promise<MissingRight[]> {
    await this.learn()
    const brokers = await Promise.all(this.cluster.getNodeIds().map((nodeId) => this.cluster.findBroker({ nodeId }).catch(() => null)))
    const answering = brokers.filter((broker) => broker !== null)
    const [first] = answering
    return first === undefined ? [] : [...(await missingOnTopics(first, topics)), ...(await missingOnGroups(answering, groups))]
  }

  /** Asks each leader for the ends of its partitions; answers whether all have told. Never rejects. */
  private async askEachLeader(topic: string, told: (partition: number, end: number) => void): Promise<boolean> {
    try {
      await this.cluster.addTargetTopic(topic)
      if (Date.now() - this.leadersAt > leadersForMs) this.learnBehind()
      const byLeader = new Map<number, { partition: number }[]>()
      for (const { partitionId: partition, leader } of this.known(topic))
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), { partition }])
      const answered = await Promise.all(
        [...byLeader.values()].map((partitions) =>
          this.cluster.fetchTopicsOffset([{ topic, fromBeginning: false, partitions }]).then(
            ([found]) => {
              for (const { partition, offset } of found!.partitions) told(partition, Number(offset))
              return true
            },
            () => false,
          ),
        ),
      )
      return answered.every((one) => one)
    } catch {
      // Not known yet, or no broker at all: nobody has answered, and whoever asks asks again.
      return false
    }
  }

  // While one partition has no leader the client can learn none: those it knows are asked meanwhile.
  private learnBehind(): void {
    if (this.learning) return
    this.learning = true
    void this.learn()
      .catch(() => {})
      .finally(() => (this.learning = false))
  }

  /** No request begins any more: the client would connect again for it. */
  close(): void {
    this.closed = true
  }

  private known(topic: string): readonly { readonly partitionId: number; readonly leader: number }[] {
    const partitions = this.cluster.findTopicPartitionMetadata(topic)
    if (partitions.length === 0) throw Object.assign(new Error(`the partitions of ${topic} are not known yet`), { retriable: true })
    return partitions
  }

  private async learn(): Promise<void> {
    await this.cluster.refreshMetadata()
    this.leadersAt = Date.now()
  }

  private async patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const deadline = Date.now() + patienceMs
    for (let first = true; ; first = false) {
      if (this.closed) throw Object.assign(new Error('the connection is closed'), { retriable: true })
      try {
        if (!first) await this.learn()
        return await ask()
      } catch (error) {
        if ((error as { retriable?: boolean }).retriable !== true || Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, againAfterMs))
      }
    }
  }
}
