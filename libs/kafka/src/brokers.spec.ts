// Which broker is asked when, while leaders change: a broker of its own for each leader would take minutes.
import { Kafka } from 'kafkajs'
import { Brokers, withBrokers, type ClientCluster } from './brokers'

const failure = (type: string, retriable: boolean): Error => Object.assign(new Error(type), { type, retriable })

/** A cluster that knows nothing before it has learned, and answers with whatever is told. */
class Cluster implements ClientCluster {
  readonly log: string[] = []
  ends = ['10', '20']
  leaders = [1, 1]
  /** These partitions' leaders never answer. */
  silent: readonly number[] = []
  failures: Error[] = []
  private readonly wanted = new Set<string>()
  private known: readonly string[] = []

  readonly getNodeIds = (): readonly string[] => []
  readonly findBroker = (): Promise<never> => Promise.reject(new Error('nobody is asked for rights here'))

  async addTargetTopic(topic: string): Promise<void> {
    if (this.wanted.has(topic)) return
    this.wanted.add(topic)
    await this.refreshMetadata()
  }

  async refreshMetadata(): Promise<void> {
    this.log.push('learn')
    this.known = [...this.wanted]
  }

  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[] {
    return this.known.includes(topic) ? this.ends.map((_, partitionId) => ({ partitionId, leader: this.leaders[partitionId]! })) : []
  }

  async fetchTopicsOffset([asked]: Parameters<ClientCluster['fetchTopicsOffset']>[0]): ReturnType<ClientCluster['fetchTopicsOffset']> {
    this.log.push(asked!.fromBeginning ? 'first' : 'end')
    const error = this.failures.shift()
    if (error) throw error
    if (asked!.partitions.some(({ partition }) => this.silent.includes(partition))) await new Promise(() => {})
    return [
      { partitions: asked!.partitions.map(({ partition }) => ({ partition, offset: asked!.fromBeginning ? '0' : this.ends[partition]! })) },
    ]
  }
}

afterEach(() => void jest.useRealTimers())

it('every call asks the leaders, which are learned once in five seconds', async () => {
  jest.useFakeTimers()
  const cluster = new Cluster()
  const brokers = new Brokers(cluster)
  expect([...(await brokers.offsets('t', 'end'))]).toEqual([
    [0, 10],
    [1, 20],
  ])
  cluster.log.length = 0
  cluster.ends = ['11', '22']
  expect([...(await brokers.offsets('t', 'end'))]).toEqual([
    [0, 11],
    [1, 22],
  ])
  expect([...(await brokers.offsets('t', 'first'))]).toEqual([
    [0, 0],
    [1, 0],
  ])
  expect(cluster.log).toEqual(['end', 'first'])
  jest.advanceTimersByTime(5_001)
  await brokers.offsets('t', 'end')
  expect(cluster.log.slice(2)).toEqual(['learn', 'end'])
})

it('a broker that is no leader any more is not believed: the leaders are learned anew and asked', async () => {
  const cluster = new Cluster()
  const brokers = new Brokers(cluster)
  await brokers.offsets('t', 'end')
  cluster.log.length = 0
  cluster.failures = [failure('NOT_LEADER_FOR_PARTITION', true), failure('NOT_LEADER_FOR_PARTITION', true)]
  expect((await brokers.offsets('t', 'end')).get(1)).toBe(20)
  expect(cluster.log).toEqual(['end', 'learn', 'end', 'learn', 'end'])
})

it('what no further attempt can change is told at once', async () => {
  const cluster = new Cluster()
  cluster.failures = [failure('TOPIC_AUTHORIZATION_FAILED', false)]
  await expect(new Brokers(cluster).offsets('t', 'end')).rejects.toThrow('TOPIC_AUTHORIZATION_FAILED')
  expect(cluster.log.filter((entry) => entry === 'end')).toHaveLength(1)
})

it('the number of partitions costs a question once; whoever is closed asks none, not even a second time', async () => {
  const cluster = new Cluster()
  const brokers = new Brokers(cluster)
  expect(await brokers.partitionsOf('t')).toBe(2)
  expect(await brokers.partitionsOf('t')).toBe(2)
  expect(cluster.log).toEqual(['learn'])
  cluster.failures = [failure('NOT_LEADER_FOR_PARTITION', true)]
  const waiting = brokers.offsets('t', 'end')
  await new Promise((resolve) => setTimeout(resolve, 20))
  brokers.close()
  const asked = cluster.log.length
  await expect(waiting).rejects.toMatchObject({ message: 'the connection is closed', retriable: true })
  await expect(brokers.partitionsOf('t')).rejects.toThrow('the connection is closed')
  expect(cluster.log).toHaveLength(asked)
})

it("a partition whose leader is silent or away keeps nobody waiting: the others' ends are told within a second", async () => {
  const cluster = new Cluster()
  cluster.leaders = [1, 2]
  cluster.silent = [1]
  const brokers = new Brokers(cluster)
  const askedAt = Date.now()
  expect([...(await brokers.endsInTime('t'))]).toEqual([[0, 10]])
  expect(Date.now() - askedAt).toBeLessThan(5_000)
  cluster.silent = []
  cluster.failures = [failure('LEADER_NOT_AVAILABLE', true)]
  expect([...(await brokers.endsInTime('t'))]).toEqual([[1, 20]])
  expect([...(await brokers.endsInTime('t'))]).toEqual([
    [0, 10],
    [1, 20],
  ])
  // Leaders are learned anew behind a question that not all have answered.
  expect(cluster.log.filter((entry) => entry === 'learn').length).toBeGreaterThan(1)
})

it('the client makes its cluster where it is looked for, one for each producer or admin', () => {
  const kafka = new Kafka({ brokers: ['localhost:1'], logLevel: 0 })
  const [first, second] = [
    withBrokers(kafka, () => kafka.admin()),
    withBrokers(kafka, () => kafka.producer({ createPartitioner: () => () => 0 })),
  ]
  const clusters = [first, second].map(({ brokers }) => (brokers as unknown as { cluster: ClientCluster }).cluster)
  for (const cluster of clusters) {
    for (const name of ['addTargetTopic', 'refreshMetadata', 'findTopicPartitionMetadata', 'fetchTopicsOffset'] as const) {
      expect(typeof cluster[name]).toBe('function')
    }
  }
  expect(clusters[0]).not.toBe(clusters[1])
})
