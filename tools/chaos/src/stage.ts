// The real processes of one run: the system from a test build, its workspaces, templates and people.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { connectProviders, lockFile, startSystem, type System } from '@stepcast/local'
import { lockHolder, stopLeftovers } from '@stepcast/stack'
import { Failpoints } from './failpoints'
import type { Arrival, Numbers, Unknown } from './history'
import { Api } from './http'
import { Keeper, type Kept } from './keeper'
import { approve, peopleOf, register, templates, type Person } from './people'
import type { Random } from './random'
import { Watch } from './watch'
import { Wire } from './wire'

/** A "minute" of the run: windows of 3 and 6 s, commands that expire after 36 s. */
export const minuteMs = 600
/** Fewer than the usual twelve: each is looked at for progress, and so many do that every few seconds under this load. */
export const partitions = 6
const peopleCount = 120
const noisyWorkspaceId = 'noisy'

const pairs = ['orchestrator', 'inapp-dispatcher', 'push-dispatcher'] as const
const names = [
  'provider-sandbox',
  'template-svc',
  'people-svc',
  'send-svc',
  'orchestrator',
  'orchestrator-2',
  'inapp-dispatcher',
  'inapp-dispatcher-2',
  'push-dispatcher',
  'push-dispatcher-2',
  'sms-dispatcher',
  'messenger-dispatcher',
  'metrics-svc',
  'gateway',
]

/** A run begins from nothing. @throws Error when another one is under way */
async function clear(home: string): Promise<void> {
  const holder = lockHolder(lockFile(home))
  if (holder !== undefined) throw new Error(`A chaos run is under way in this checkout, as process ${holder.pid}.`)
  if (existsSync(home)) await stopLeftovers(home)
  rmSync(home, { recursive: true, force: true })
}

/** Everything that runs, and the ways to it. */
export class RunningStage {
  readonly failpoints: Failpoints
  readonly keeper: Keeper
  readonly watch: Watch
  readonly wire: Wire
  readonly api: Api
  readonly noisyApi: Api
  private current: KafkaConnection

  private constructor(
    private readonly system: System,
    failpoints: Failpoints,
    noisyKey: string,
    readonly people: readonly Person[],
    private readonly arrivalsFile: string,
  ) {
    const { parts } = system.stack
    const kept: Kept[] = [...Object.values(system.services), parts.broker!, parts.postgres!, parts.registry!]
    this.failpoints = failpoints
    this.keeper = new Keeper(kept)
    this.api = new Api(system.url, system.demo!.apiKey)
    this.noisyApi = new Api(system.url, noisyKey)
    const env = { ...system.env } as NodeJS.ProcessEnv
    this.watch = new Watch(kafkaConfigFromEnv(env, 'chaos-watch'), registryConfigFromEnv(env))
    this.wire = new Wire(system.stack.kafkaBrokers)
    this.current = this.connect()
  }

  /** Starts everything and makes what the load needs. */
  static async start(
    appsRoot: string,
    home: string,
    random: Random,
    onProgress: (line: string) => void,
    signal: AbortSignal,
  ): Promise<RunningStage> {
    await clear(home)
    const failpoints = new Failpoints(home)
    const arrivalsFile = join(home, 'arrivals.jsonl')
    const system = await startSystem({
      home,
      appsRoot,
      minuteMs,
      partitions,
      signal,
      onProgress,
      restartCrashed: false,
      instances: Object.fromEntries(pairs.map((name) => [name, 2])),
      // The sandbox hangs on purpose: nobody waits the usual 10 s for it here.
      env: { SANDBOX_LOG_FILE: arrivalsFile, PUSH_TIMEOUT_MS: '3000', SMS_TIMEOUT_MS: '3000', KAKAO_TIMEOUT_MS: '3000' },
      envOf: Object.fromEntries(names.map((name) => [name, failpoints.envOf(name)])),
    })
    try {
      const made = await fetch(`${system.url}/v1/workspaces`, {
        method: 'POST',
        headers: { authorization: `Bearer ${system.rootKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ workspaceId: noisyWorkspaceId, name: 'Noisy' }),
      })
      if (!made.ok) throw new Error(`the noisy workspace could not be made: ${made.status} ${await made.text()}`)
      const { apiKey } = (await made.json()) as { apiKey: { key: string } }
      await connectProviders({ url: system.url, workspaceId: noisyWorkspaceId, apiKey: apiKey.key, sandboxUrl: system.sandboxUrl })
      const stage = new RunningStage(system, failpoints, apiKey.key, peopleOf(random, peopleCount), arrivalsFile)
      await Promise.all([
        stage.watch.open(),
        ...templates.map((template) => approve(stage.api, template)),
        approve(stage.noisyApi, templates[0]!),
        ...stage.people.map((person) => register(stage.api, person)),
      ])
      return stage
    } catch (error) {
      await system.stop()
      throw error
    }
  }

  readonly workspaceId = 'demo'
  readonly noisyWorkspaceId = noisyWorkspaceId

  /** The driver's connection; a new one when the client has given the last one up. */
  readonly connection = (): KafkaConnection => this.current

  private connect(): KafkaConnection {
    const env = { ...this.system.env } as NodeJS.ProcessEnv
    return new KafkaConnection({
      kafka: kafkaConfigFromEnv(env, 'chaos'),
      registry: registryConfigFromEnv(env),
      log: silentLog,
      onFatal: () => (this.current = this.connect()),
    })
  }

  /** What the providers do wrong from now on: each share of the requests; none: nothing. */
  async setProviderFaults(faults: readonly { mode: string; rate: number; delayMs?: number; retryAfterS?: number }[]): Promise<void> {
    const call = (method: string, body?: object): Promise<Response> =>
      fetch(`${this.system.sandboxUrl}/faults`, {
        method,
        signal: AbortSignal.timeout(5_000),
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
    // A sandbox that is away behaves badly enough.
    await call('DELETE').catch(() => undefined)
    for (const fault of faults)
      for (const provider of ['fcm', 'twilio', 'solapi']) await call('POST', { provider, ...fault }).catch(() => undefined)
  }

  /** Every request that arrived at a provider, as the sandbox wrote it down before it answered. */
  arrivals(): Arrival[] {
    let text = ''
    try {
      text = readFileSync(this.arrivalsFile, 'utf8')
    } catch {
      // Nothing has arrived yet.
    }
    return text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Arrival] : []))
  }

  /** The product's lists of attempts whose outcome is unknown. */
  async unknown(patienceMs?: number): Promise<Unknown[]> {
    return (await Promise.all(['push', 'sms', 'kakao'].map((channel) => this.unknownOf(channel, patienceMs)))).flat()
  }

  private async unknownOf(channel: string, patienceMs?: number): Promise<Unknown[]> {
    const found: Unknown[] = []
    let cursor: string | null = null
    do {
      const page: { items: Unknown[]; nextCursor: string | null } = await this.api.call(
        'GET',
        `/v1/${channel}/unknown?limit=100${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        patienceMs === undefined ? {} : { patienceMs },
      )
      found.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== null)
    return found
  }

  /** The numbers of every template, by `workspaceId/templateId`. */
  async numbers(): Promise<Map<string, Numbers>> {
    const told = new Map<string, Numbers>()
    for (const { templateId } of templates)
      told.set(`${this.workspaceId}/${templateId}`, await this.api.call('GET', `/v1/metrics/templates/${templateId}`))
    const noisy = templates[0]!.templateId
    told.set(`${noisyWorkspaceId}/${noisy}`, await this.noisyApi.call('GET', `/v1/metrics/templates/${noisy}`))
    return told
  }

  /** How many timers the orchestrator keeps. */
  async timers(): Promise<number> {
    const client = new Client({ connectionString: this.system.stack.databaseUrl })
    await client.connect()
    try {
      const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM orchestrator.timers')
      return Number(rows[0]!.n)
    } finally {
      await client.end()
    }
  }

  /** Stops everything. */
  async stop(): Promise<void> {
    this.keeper.stop()
    await Promise.all([this.watch.close(), this.wire.close(), this.current.close()])
    await this.system.stop()
  }
}
