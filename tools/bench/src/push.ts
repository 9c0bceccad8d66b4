// The push phase: commands on the topic to reports on the topic, ledger included, beside a bare HTTP/2 client on the same sandbox.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AccountSeal, encryptionSecretOf } from '@stepcast/accounts'
import { messageIdOf, sequenceIdOf, topics, userKey, type DispatchStep, type UserChanged } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, setUpCluster, silentLog } from '@stepcast/kafka'
import { checkout, sandboxAccounts } from '@stepcast/local'
import { freePort, Program, until } from '@stepcast/stack'
import { templateApproved } from '@stepcast/template'
import { cpuSeconds } from './cpu'
import { perSecond, rate, ratio } from './numbers'
import type { Progress } from './progress'
import type { LoopFound, LoopTask } from './pushLoop'
import { cpuBetween, spentPer1000, type CpuUse, type Servers } from './servers'
import { untilWritten, written } from './topics'

/** How to run it. */
export interface PushOptions {
  /** Even: half of them go to each provider. */
  readonly n: number
  readonly cpuProfiles: string | null
}

/** What the phase found. */
export interface PushResult {
  readonly n: number
  /** Commanded on the topic → accepted in the ledger and reported on the topic. */
  readonly pushesPerSecond: number
  /** The bare client before and after it, with the same bytes. */
  readonly loopsPerSecond: readonly number[]
  /** Stepcast as a multiple of the mean of both. */
  readonly ratio: number
  readonly cpuSecondsPer1000: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

// Several, as in life: one workspace alone may have three quarters of the places.
const workspaces = ['bench-a', 'bench-b', 'bench-c', 'bench-d']
const warmUp = 3_000
/** Streams of the bare client at a time, for each provider on one session: as many as FCM allows. */
const inFlight = 100

/** Runs the phase on these servers. */
export async function benchPush(servers: Servers, options: PushOptions, progress: Progress): Promise<PushResult> {
  const bench = new PushBench(servers, options, progress)
  try {
    return await bench.run()
  } finally {
    await bench.stop()
  }
}

class PushBench {
  private readonly env: Record<string, string>
  private readonly connection: KafkaConnection
  private readonly accounts = sandboxAccounts()
  private programs: Program[] = []

  constructor(
    private readonly servers: Servers,
    private readonly options: PushOptions,
    private readonly progress: Progress,
  ) {
    const { kafkaBrokers, registryUrl, databaseUrl } = servers.stack
    this.env = {
      ...(process.env as Record<string, string>),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
      KAFKA_BROKERS: kafkaBrokers,
      SCHEMA_REGISTRY_URL: registryUrl,
      DATABASE_URL: databaseUrl,
      STEPCAST_INTERNAL_SECRET: 'b'.repeat(64),
    }
    this.connection = new KafkaConnection({
      kafka: kafkaConfigFromEnv(this.env, 'bench'),
      registry: registryConfigFromEnv(this.env),
      log: silentLog,
    })
  }

  async run(): Promise<PushResult> {
    const { n } = this.options
    const kafka = kafkaConfigFromEnv(this.env, 'bench')
    await setUpCluster({ kafka, registry: registryConfigFromEnv(this.env), partitions: 12, replicationFactor: 1 })
    const { origin, url, ca } = await this.startSandbox()
    const dispatcher = await this.startDispatcher(origin, ca)
    await this.people(n)
    const loop = (): Promise<LoopFound> => this.loop({ origin, n, warmUp, inFlight, accounts: this.accounts }, ca)

    await this.commanded('warm-up', warmUp, () => {})
    const before = await loop()
    const sandbox = this.programs[0]!
    const cpu = (): CpuUse => ({ dispatcher: cpuSeconds(dispatcher.pid!), sandbox: cpuSeconds(sandbox.pid!), ...this.servers.cpu() })
    const since = new Date().toISOString()
    // The load stands on its topic before the clock starts, as in every phase.
    dispatcher.kill('SIGSTOP')
    const messageIds = await this.command('counted', n)
    const reported = await written(this.connection, topics.engagements.name)
    const cpuBefore = cpu()
    dispatcher.kill('SIGCONT')
    const ms = await untilWritten(this.connection, topics.engagements.name, reported + n, (done) =>
      this.progress.show('pushes', done - reported, n),
    )
    const spent = cpuBetween(cpuBefore, cpu())
    this.progress.done(`pushes      ${rate(n, ms)}`)
    const after = await loop()
    const loopsPerSecond = [before, after].map((found) => perSecond(n, found.ms))
    this.progress.done(`bare HTTP/2 ${loopsPerSecond.map((one) => one.toLocaleString('en')).join(' and ')} /s, before and after`)
    const pushesPerSecond = perSecond(n, ms)
    return {
      n,
      pushesPerSecond,
      loopsPerSecond,
      ratio: ratio(pushesPerSecond, (loopsPerSecond[0]! + loopsPerSecond[1]!) / 2) ?? 0,
      cpuSecondsPer1000: spentPer1000(spent, n),
      problems: await this.problems(url, since, messageIds),
    }
  }

  async stop(): Promise<void> {
    for (const program of this.programs) program.kill('SIGCONT')
    await Promise.all(this.programs.map((program) => program.stop()))
    await this.connection.close()
  }

  /** Every push accepted in the ledger, and arrived once. */
  private async problems(url: string, since: string, messageIds: ReadonlySet<string>): Promise<string[]> {
    const n = messageIds.size
    const [row] = await this.servers.sql<{ accepted: number }>(
      `SELECT count(*)::int AS accepted FROM push_dispatcher.ledger
       WHERE state = 'accepted' AND attempts = 1 AND message_id = ANY ($1::text[])`,
      [[...messageIds]],
    )
    const { items } = (await (await fetch(`${url}/log?since=${since}`)).json()) as { items: { messageId: string | null }[] }
    const arrivals = items.map(({ messageId }) => messageId).filter((messageId) => messageId !== null && messageIds.has(messageId))
    const problems: string[] = []
    if (row!.accepted !== n) problems.push(`the ledger holds ${row!.accepted} of ${n} pushes as accepted at the first attempt`)
    if (new Set(arrivals).size !== n || arrivals.length !== n)
      problems.push(`${new Set(arrivals).size} of ${n} pushes arrived at the sandbox, ${arrivals.length} requests in all`)
    return problems
  }

  // ── The programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async startSandbox(): Promise<{ url: string; origin: string; ca: string }> {
    const [port, tlsPort] = [await freePort(), await freePort()]
    const url = `http://127.0.0.1:${port}`
    await this.startProgram('provider-sandbox', url, { PORT: String(port), SANDBOX_TLS_PORT: String(tlsPort) })
    const ca = join(this.servers.home, 'sandbox-ca.pem')
    writeFileSync(ca, await (await fetch(`${url}/ca.pem`)).text())
    return { url, origin: `https://localhost:${tlsPort}`, ca }
  }

  private async startDispatcher(origin: string, ca: string): Promise<Program> {
    const port = await freePort()
    return this.startProgram('push-dispatcher', `http://127.0.0.1:${port}`, {
      PORT: String(port),
      PEOPLE_SVC_URL: 'http://127.0.0.1:1',
      NODE_EXTRA_CA_CERTS: ca,
      FCM_ENDPOINT: origin,
      FCM_TOKEN_ENDPOINT: `${origin}/token`,
      APNS_ENDPOINT: origin,
    })
  }

  private async startProgram(name: string, url: string, env: Record<string, string>): Promise<Program> {
    const { cpuProfiles } = this.options
    const profile = cpuProfiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfiles}`, `--cpu-prof-name=${name}.cpuprofile`]
    const program = new Program({
      name,
      home: this.servers.home,
      command: process.execPath,
      args: [...profile, join(checkout, `apps/${name}/dist/main.js`)],
      env: { ...this.env, ...env },
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 30_000,
      isReady: () => fetch(`${url}/readyz`).then(({ ok }) => ok),
      readyEveryMs: 50,
      readyTimeoutMs: 60_000,
    })
    this.programs.push(program)
    await program.start()
    return program
  }

  /** The bare client as a process of its own, as the dispatcher is one. */
  private async loop(task: LoopTask, ca: string): Promise<LoopFound> {
    const found = join(this.servers.home, 'loop.json')
    const run = join(this.servers.home, 'loop-task.json')
    writeFileSync(run, JSON.stringify(task))
    let ended: LoopFound | null = null
    const program = new Program({
      name: 'bare-loop',
      home: this.servers.home,
      command: process.execPath,
      args: [join(__dirname, 'pushLoop.js'), run, found],
      env: { ...this.env, NODE_EXTRA_CA_CERTS: ca },
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 5_000,
      isReady: async () => (ended = await readJson<LoopFound>(found)) !== null,
      readyEveryMs: 100,
      readyTimeoutMs: 180_000,
    })
    writeFileSync(found, '')
    await program.start()
    await program.stop()
    return ended!
  }

  // ── The load ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Workspaces with their accounts, a template, and people with a phone each: every other one an iPhone. */
  private async people(n: number): Promise<void> {
    const seal = new AccountSeal(encryptionSecretOf(this.env))
    const producer = await this.connection.producer()
    const updatedAt = Date.now()
    const content = { title: 'Shipped', body: 'Order {{orderNo}} is on its way', url: null, data: {} }
    await producer.send(
      topics.workspaces,
      workspaces.map((workspaceId) => {
        const providers = Object.fromEntries(
          (['fcm', 'apns'] as const).map((name) => [
            name,
            { sealed: seal.close(workspaceId, name, this.accounts[name]), account: name, updatedAt: new Date().toISOString() },
          ]),
        )
        return { key: workspaceId, value: { workspaceId, settings: JSON.stringify({ name: workspaceId, providers }), updatedAt } }
      }),
    )
    await producer.send(
      topics.templates,
      workspaces.map((workspaceId) => ({
        key: `${workspaceId}/bench/1`,
        value: {
          workspaceId,
          templateId: 'bench',
          changedAt: updatedAt,
          change: templateApproved(1, {
            name: 'Bench',
            category: 'Transactional',
            variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
            channels: [{ channelType: 'push', content }],
            config: { sequenceEnabled: false, sequence: null },
          }),
        },
      })),
    )
    const users = Array.from({ length: n }, (_, index): UserChanged => {
      const workspaceId = workspaces[index % workspaces.length]!
      const platform = isIPhone(index) ? 'apns' : 'fcm'
      return {
        workspaceId,
        userId: `user-${index}`,
        phoneNumber: null,
        kakaoPhoneNumber: null,
        locale: null,
        timezone: null,
        devices: [{ deviceId: 'phone', platform, token: `token-${index}`, updatedAt }],
        optOutChannels: [],
        optOutCategories: [],
        quietHoursStart: null,
        quietHoursEnd: null,
        updatedAt,
      }
    })
    for (let from = 0; from < n; from += 5_000) {
      await producer.send(
        topics.users,
        users.slice(from, from + 5_000).map((value) => ({ key: userKey(value.workspaceId, value.userId), value })),
      )
    }
    const known = async (): Promise<number> =>
      (await this.servers.sql<{ count: number }>('SELECT count(*)::int AS count FROM push_dispatcher.users'))[0]!.count
    if (!(await until(async () => (await known()) >= n, { everyMs: 200, timeoutMs: 60_000 })))
      throw new Error(`the dispatcher knows ${await known()} of ${n} users after a minute`)
  }

  private async commanded(sendId: string, n: number, onCount: (done: number) => void): Promise<void> {
    const before = await written(this.connection, topics.engagements.name)
    await this.command(sendId, n)
    await untilWritten(this.connection, topics.engagements.name, before + n, onCount)
  }

  /** Puts commands on the topic; answers their messageIds. */
  private async command(sendId: string, n: number): Promise<ReadonlySet<string>> {
    const producer = await this.connection.producer()
    const commandedAt = Date.now()
    const commands = Array.from({ length: n }, (_, index): DispatchStep => {
      const workspaceId = workspaces[index % workspaces.length]!
      const userId = `user-${index % this.options.n}`
      const sequenceId = sequenceIdOf(workspaceId, sendId, `${userId} ${index}`)
      return {
        action: 'send',
        workspaceId,
        messageId: messageIdOf(sequenceId, 1, 'push'),
        sequenceId,
        sendId,
        step: 1,
        channelType: 'push',
        userId,
        templateId: 'bench',
        templateVersion: 1,
        campaignId: null,
        variables: { orderNo: randomUUID() },
        commandedAt,
        expiresAt: commandedAt + 3_600_000,
        windowMs: 300_000,
      }
    })
    for (let from = 0; from < n; from += 5_000) {
      await producer.send(
        topics.pushCommands,
        commands.slice(from, from + 5_000).map((value) => ({ key: value.sequenceId, value })),
      )
    }
    return new Set(commands.map(({ messageId }) => messageId))
  }
}

// By fours, so that every workspace has both.
const isIPhone = (index: number): boolean => Math.floor(index / workspaces.length) % 2 === 1

async function readJson<T>(file: string): Promise<T | null> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(file, 'utf8').catch(() => '')
  return text === '' ? null : (JSON.parse(text) as T)
}
