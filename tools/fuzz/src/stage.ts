// The system that is fuzzed: real processes with ports and data of their own, two workspaces, eyes on processes, groups and numbers.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { Client } from 'pg'
import { Api, Wire } from '@stepcast/chaos'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { connectProviders, lockFile, startSystem, type System } from '@stepcast/local'
import { lockHolder, stopLeftovers } from '@stepcast/stack'
import { standingsFrom, type Standing } from './readers'
import { allTopics, attacked, neighbour } from './records'
import { approve, neighbourTemplates } from './templates'

/** A "minute": windows that anybody outwaits last 0.8 s, those that nobody outwaits four minutes. */
const minuteMs = 160
/** Few, so that every one of them meets every kind of record. */
export const partitions = 3

/** Everything that runs, and the ways to it. */
export class RunningStage {
  readonly wire: Wire
  /** Restarts seen, as `orchestrator (12 s)`. */
  readonly restarts: string[] = []
  /** The most memory that each process has held, bytes. */
  readonly memory = new Map<string, number>()
  private readonly pids = new Map<string, number>()
  private readonly looking: NodeJS.Timeout
  private readonly begin = Date.now()

  private constructor(
    readonly system: System,
    readonly keys: ReadonlyMap<string, string>,
    readonly schemaIds: ReadonlyMap<string, number>,
    private readonly connection: KafkaConnection,
  ) {
    this.wire = new Wire(system.stack.kafkaBrokers)
    this.look()
    this.looking = setInterval(() => this.look(), 500)
  }

  /** Starts everything from nothing. @throws Error when another run is under way */
  static async start(home: string, onProgress: (line: string) => void, signal: AbortSignal): Promise<RunningStage> {
    const holder = lockHolder(lockFile(home))
    if (holder !== undefined) throw new Error(`A fuzz run is under way in this checkout, as process ${holder.pid}.`)
    if (existsSync(home)) await stopLeftovers(home)
    rmSync(home, { recursive: true, force: true })
    const system = await startSystem({ home, minuteMs, partitions, signal, onProgress })
    try {
      const keys = new Map(
        await Promise.all([neighbour, attacked].map(async (workspaceId) => [workspaceId, await workspace(system, workspaceId)] as const)),
      )
      const api = (workspaceId: string): Api => new Api(system.url, keys.get(workspaceId)!)
      await Promise.all([
        ...neighbourTemplates.map((name) => approve(api(neighbour), name)),
        ...(['steady', 'wide'] as const).map((name) => approve(api(attacked), name)),
      ])
      const env = { ...system.env } as NodeJS.ProcessEnv
      const connection = new KafkaConnection({
        kafka: kafkaConfigFromEnv(env, 'fuzz'),
        registry: registryConfigFromEnv(env),
        log: silentLog,
        onFatal: () => undefined,
      })
      const schemaIds = new Map(
        await Promise.all(allTopics.map(async (topic) => [topic.name, await connection.registry.writerIdOf(topic)] as const)),
      )
      return new RunningStage(system, keys, schemaIds, connection)
    } catch (error) {
      await system.stop()
      throw error
    }
  }

  api(workspaceId: string): Api {
    return new Api(this.system.url, this.keys.get(workspaceId)!)
  }

  /** How far every reader of the product is, partition by partition. */
  standings(): Promise<Standing[]> {
    return this.asked((client) => standingsFrom({ connection: this.connection, client }, partitions))
  }

  /** Which of these sequences have started. */
  started(sequenceIds: readonly string[]): Promise<ReadonlySet<string>> {
    return this.asked(async (client) => {
      const { rows } = await client.query<{ id: string }>(
        'SELECT sequence_id::text AS id FROM orchestrator.sequences WHERE sequence_id = ANY($1::uuid[])',
        [sequenceIds],
      )
      return new Set(rows.map(({ id }) => id))
    })
  }

  /** Whether the whole says that it is ready; else what it says. */
  async readiness(): Promise<string | null> {
    const answer = await fetch(`${this.system.url}/readyz`, { signal: AbortSignal.timeout(10_000) })
    const text = await answer.text()
    return answer.ok ? null : `${answer.status} ${text.slice(0, 500)}`
  }

  /** Stops everything. */
  async stop(): Promise<void> {
    clearInterval(this.looking)
    await Promise.all([this.wire.close(), this.connection.close()])
    await this.system.stop()
  }

  /** Asks the services' database. */
  private async asked<T>(question: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ connectionString: this.system.stack.databaseUrl })
    await client.connect()
    try {
      return await question(client)
    } finally {
      await client.end()
    }
  }

  private look(): void {
    for (const { name, pid } of Object.values(this.system.services)) {
      const before = this.pids.get(name)
      if (pid === undefined) continue
      if (before !== undefined && before !== pid) this.restarts.push(`${name} (${Math.round((Date.now() - this.begin) / 1_000)} s)`)
      this.pids.set(name, pid)
      this.memory.set(name, Math.max(this.memory.get(name) ?? 0, residentBytes(pid)))
    }
  }
}

/** What a process holds in memory; 0: it is gone, or this system does not tell. */
function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** Makes a workspace with an account of every provider and phones that wait to be tapped. @returns its key */
async function workspace(system: System, workspaceId: string): Promise<string> {
  const post = async (url: string, body: object, key?: string): Promise<Response> => {
    const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) }
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(30_000) })
    if (!answer.ok) throw new Error(`workspace ${workspaceId} could not be made: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const made = (await (await post(`${system.url}/v1/workspaces`, { workspaceId, name: workspaceId }, system.rootKey)).json()) as {
    apiKey: { key: string }
  }
  const apiKey = made.apiKey.key
  await post(`${system.sandboxUrl}/phones`, { workspaceId, apiKey })
  await connectProviders({ url: system.url, workspaceId, apiKey, sandboxUrl: system.sandboxUrl })
  return apiKey
}
