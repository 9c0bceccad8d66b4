// Starts the whole of Stepcast on one machine: the stack, its topics and schemas, every service, the demo workspace.
import { existsSync, mkdirSync, writeFileSync, renameSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { kafkaConfigFromEnv, registryConfigFromEnv, setUpCluster } from '@stepcast/kafka'
import {
  AlreadyRunning,
  createDatabase,
  freePort,
  loopback,
  Program,
  releaseLock,
  requirePortsFree,
  sleep,
  startStack,
  stopLeftovers,
  takeLock,
  type Stack,
} from '@stepcast/stack'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import { sandboxCertificate } from './certificate'
import { ensureDemoWorkspace, registerPhones, type DemoWorkspace } from './demoWorkspace'
import { devEnvText, type DevEnv } from './devEnv'
import { noteForeignServers } from './foreignServers'
import { keyProblem, preflight } from './preflight'
import { connectProviders, keptAccounts } from './providerAccounts'
import { withOwnSecrets } from './ownSecrets'
import { internalSecret, internalSecretFile, keptInternalSecret, rootKey, writePrivately } from './secrets'
import { layOut, serviceKinds, serviceUrls, type ServiceInstance } from './services'
import { checkout } from './settings'
import { signInsOf, withoutStraySignIns } from './signIn'
import { supervise, type EndSupervision } from './supervise'
import type { SystemOptions } from './systemOptions'

/**
 * One process of a service. `kill` sends a signal as the operating system would, and a process ended by it is started
 * again like any crash; `restart` does that now; `stop` ends it for good.
 */
export interface Service {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly pid: number | undefined
  kill(signal?: NodeJS.Signals): void
  /** Resolves when no process of it runs. */
  ended(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** A running system. */
export interface System {
  readonly home: string
  /** The gateway: HTTP and dashboard. */
  readonly url: string
  /** `host:port` of gRPC. */
  readonly grpc: string
  readonly sandboxUrl: string
  readonly rootKey: string
  /** Keys of the workspace `demo`; null without a gateway, or when they were lost. */
  readonly demo: DemoWorkspace | null
  /** The variables of `dev.env`. */
  readonly env: DevEnv
  readonly stack: Stack
  readonly services: Readonly<Record<string, Service>>
  /** Stops everything that was started: services, registry, broker, database. */
  stop(): Promise<void>
}

/** Where the lock of a data directory is: it names the process that runs a system there. */
export const lockFile = (home: string): string => join(home, 'supervisor.lock')

/**
 * Starts a system and waits until every service is ready.
 *
 * @throws AlreadyRunning, PortInUse, ProgramFailed or Error with a message for a person; nothing is left running then
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const home = resolve(options.home)
  mkdirSync(home, { recursive: true })
  const holder = takeLock(lockFile(home))
  if (holder !== undefined) throw new AlreadyRunning(home, holder.pid)
  const undo: (() => Promise<void> | void)[] = [() => releaseLock(lockFile(home))]
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      // Backwards: what was started last goes first.
      for (const step of undo.reverse()) await step()
    })())
  try {
    return await startIn(home, options, undo, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

/** What the broker does by default, which its owner has chosen for a cluster of theirs. */
const brokersDefault = -1

async function startIn(
  home: string,
  options: SystemOptions,
  undo: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<System> {
  const { use = {}, signal, onProgress = () => undefined, partitions = 12, minuteMs = 60_000 } = options
  const supervised = options.restartCrashed ?? true
  const leftovers = await stopLeftovers(home)
  if (leftovers.length > 0) onProgress(`Stopped what an earlier start left running: ${leftovers.join(', ')}.`)
  const ports = await choosePorts(options)
  const foreign = {
    kafka: use.kafkaBrokers !== undefined,
    registry: use.registryUrl !== undefined,
    database: use.databaseUrl !== undefined,
  }
  const replicationFactor = options.replicationFactor ?? (foreign.kafka ? brokersDefault : 1)
  const outside = withoutStraySignIns(inherited(process.env), foreign)
  // As the services will have it, but for servers that do not run yet and a secret that may have to be made.
  const secret = options.internalSecret ?? keptInternalSecret(home)
  const lookedAt: NodeJS.ProcessEnv = {
    ...outside,
    STEPCAST_INTERNAL_SECRET: secret,
    KAFKA_BROKERS: use.kafkaBrokers,
    SCHEMA_REGISTRY_URL: use.registryUrl,
    DATABASE_URL: use.databaseUrl,
    ...options.env,
  }
  // With its authority, as the services will reach it.
  const foreignDatabase = use.databaseUrl === undefined ? null : databaseUrlFromEnv(lookedAt)
  const keyFile =
    options.internalSecret !== undefined
      ? 'of the environment'
      : `${internalSecretFile(home)}${secret === undefined ? ', which is not there' : ''}`
  const processes = { ...(options.instances && { instances: options.instances }), ...(options.services && { services: options.services }) }
  await preflight({
    env: lookedAt,
    onProgress,
    registry: foreign.registry,
    ...(foreign.kafka && { kafka: { partitions, replicationFactor, servicesRunAsUs: true } }),
    ...(foreignDatabase !== null && { database: { url: foreignDatabase, keyFile, ...processes } }),
  })
  signal?.throwIfAborted()
  noteForeignServers(home, use)

  const stack = await startStack({ home, ports, use, onProgress, ...(signal && { signal }) })
  const endings: EndSupervision[] = []
  const bringBack = (program: Program): void => {
    if (supervised) endings.push(supervise(program, onProgress))
  }
  stack.programs.forEach(bringBack)
  undo.push(async () => {
    for (const end of endings) end()
    await stack.stop()
  })
  if (foreignDatabase !== null) await createMissingDatabase(foreignDatabase)
  else {
    const problem = await keyProblem(lookedAt, stack.databaseUrl, keyFile)
    if (problem !== null) throw new Error(`${problem}. To begin anew without what is stored: npm run reset`)
  }

  const url = `http://localhost:${ports.http}`
  const sandboxUrl = `http://localhost:${ports.sandbox}`
  const sandboxTlsUrl = `https://localhost:${ports.sandboxTls}`
  const certificate = await sandboxCertificate(home)
  const key = options.rootKey ?? rootKey(home)
  const shared: NodeJS.ProcessEnv = {
    ...outside,
    HOST: loopback,
    NODE_ENV: process.env['NODE_ENV'] ?? 'production',
    KAFKA_BROKERS: stack.kafkaBrokers,
    SCHEMA_REGISTRY_URL: stack.registryUrl,
    DATABASE_URL: stack.databaseUrl,
    STEPCAST_PARTITIONS: String(partitions),
    STEPCAST_MINUTE_MS: String(minuteMs),
    STEPCAST_INTERNAL_SECRET: options.internalSecret ?? internalSecret(home),
    STEPCAST_ROOT_KEY: key,
    STEPCAST_PUBLIC_URL: options.publicUrl ?? url,
    STEPCAST_SANDBOX_URL: sandboxUrl,
    FCM_ENDPOINT: sandboxTlsUrl,
    FCM_TOKEN_ENDPOINT: `${sandboxTlsUrl}/token`,
    APNS_ENDPOINT: sandboxTlsUrl,
    TWILIO_ENDPOINT: sandboxUrl,
    SOLAPI_ENDPOINT: sandboxUrl,
    ...options.providers,
  }
  const own: Readonly<Record<string, NodeJS.ProcessEnv>> = {
    'provider-sandbox': {
      SANDBOX_TLS_PORT: String(ports.sandboxTls),
      SANDBOX_CERT_FILE: certificate.certFile,
      SANDBOX_KEY_FILE: certificate.keyFile,
    },
    // Beside the authorities that Node knows.
    'push-dispatcher': { NODE_EXTRA_CA_CERTS: certificate.certFile },
  }

  signal?.throwIfAborted()
  await setUpCluster({
    kafka: kafkaConfigFromEnv({ ...shared, ...options.env }, 'stepcast-start'),
    registry: registryConfigFromEnv({ ...shared, ...options.env }),
    partitions,
    replicationFactor,
    onProgress: (line) => onProgress(sentence(line)),
  })
  signal?.throwIfAborted()

  const names = options.services ?? serviceKinds.map(({ name }) => name)
  const laidOut = await layOut(names, options.instances ?? {}, async (listens) =>
    listens === 'http' ? ports.http : listens === 'sandbox' ? ports.sandbox : freePort(),
  )
  const urls = serviceUrls(laidOut)
  const running = laidOut.map((instance) => ({
    instance,
    program: serviceProgram(
      home,
      resolve(options.appsRoot ?? join(checkout, 'apps')),
      instance,
      withOwnSecrets(instance.kind.name, {
        ...shared,
        ...urls,
        PORT: String(instance.port),
        ...(instance.kind.listens === 'http' && { GRPC_PORT: String(ports.grpc) }),
        ...own[instance.kind.name],
        ...options.env,
        ...options.envOf?.[instance.name],
      }),
    ),
  }))
  const listRunning = (): void =>
    writeServices(
      home,
      running.flatMap(({ instance, program }) =>
        program.pid === undefined ? [] : [{ name: instance.name, pid: program.pid, port: instance.port }],
      ),
    )
  for (const { program } of running) program.onLaunch(listRunning)

  undo.push(async () => {
    for (const end of endings) end()
    await Promise.all(running.map(({ program }) => program.stop()))
    writeServices(home, [])
  })
  const begin = Date.now()
  await startGradually(
    running.map(({ program }) => program),
    bringBack,
    signal,
  )
  onProgress(`${running.length} services are ready (${((Date.now() - begin) / 1000).toFixed(1)} s).`)

  const demo = names.includes('gateway') ? await ensureDemoWorkspace(home, url, key) : null
  if (demo && names.includes('provider-sandbox')) {
    await registerPhones(sandboxUrl, demo)
    await connectProviders({ url, ...demo, sandboxUrl, accounts: keptAccounts(home) })
  }
  const env: DevEnv = {
    STEPCAST_URL: url,
    STEPCAST_GRPC: `localhost:${ports.grpc}`,
    STEPCAST_SANDBOX_URL: sandboxUrl,
    STEPCAST_ROOT_KEY: key,
    ...(demo && {
      STEPCAST_WORKSPACE_ID: demo.workspaceId,
      STEPCAST_API_KEY: demo.apiKey,
      STEPCAST_SIGNING_KID: demo.signingKid,
      STEPCAST_SIGNING_SECRET: demo.signingSecret,
    }),
    KAFKA_BROKERS: stack.kafkaBrokers,
    SCHEMA_REGISTRY_URL: stack.registryUrl,
    DATABASE_URL: stack.databaseUrl,
  }
  const prefix = process.env['STEPCAST_TOPIC_PREFIX']
  writePrivately(
    join(home, 'dev.env'),
    devEnvText(env, { ...signInsOf(process.env, foreign), ...(prefix && { STEPCAST_TOPIC_PREFIX: prefix }) }),
  )
  signal?.throwIfAborted()

  return {
    home,
    url,
    grpc: env.STEPCAST_GRPC,
    sandboxUrl,
    rootKey: key,
    demo,
    env,
    stack,
    stop,
    services: Object.fromEntries(running.map(({ instance, program }) => [instance.name, asService(instance, program)])),
  }
}

async function choosePorts(options: SystemOptions) {
  const { ports = {}, use = {} } = options
  const names = options.services ?? serviceKinds.map(({ name }) => name)
  const wanted = [
    { port: ports.http, purpose: 'HTTP', variable: 'STEPCAST_HTTP_PORT', ours: names.includes('gateway') },
    { port: ports.grpc, purpose: 'gRPC', variable: 'STEPCAST_GRPC_PORT', ours: names.includes('gateway') },
    { port: ports.sandbox, purpose: 'provider sandbox', variable: 'STEPCAST_SANDBOX_PORT', ours: names.includes('provider-sandbox') },
    {
      port: ports.sandboxTls,
      purpose: 'provider sandbox by TLS',
      variable: 'STEPCAST_SANDBOX_TLS_PORT',
      ours: names.includes('provider-sandbox'),
    },
    { port: ports.kafka, purpose: 'Kafka', variable: 'STEPCAST_KAFKA_PORT', ours: use.kafkaBrokers === undefined },
    { port: ports.registry, purpose: 'schema registry', variable: 'STEPCAST_REGISTRY_PORT', ours: use.registryUrl === undefined },
    { port: ports.postgres, purpose: 'PostgreSQL', variable: 'STEPCAST_POSTGRES_PORT', ours: use.databaseUrl === undefined },
  ]
  // All at once, before anything starts: whoever has to move three ports wants to hear of three.
  await requirePortsFree(wanted.filter(({ ours }) => ours).map(({ port = 0, ...rest }) => ({ port, ...rest })))
  const [http, grpc, sandbox, sandboxTls, kafka, registry, postgres] = await Promise.all(wanted.map(async ({ port }) => port || freePort()))
  return { http, grpc, sandbox, sandboxTls, kafka, registry, postgres } as Record<keyof NonNullable<SystemOptions['ports']>, number>
}

/** The environment of this process without what npm adds for its scripts. */
function inherited(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('npm_')))
}

function serviceProgram(home: string, appsRoot: string, instance: ServiceInstance, env: NodeJS.ProcessEnv): Program {
  const main = join(appsRoot, instance.kind.name, 'dist', 'main.js')
  if (!existsSync(main)) throw new Error(`${main} is missing. Run: npm run build`)
  return new Program({
    name: instance.name,
    home,
    command: process.execPath,
    // A service needs some 60 MB of heap. The bound makes a leak end in a restart and not in a machine out of memory.
    args: ['--max-old-space-size=512', main],
    env,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    isReady: async () => {
      const answer = await fetch(`http://${loopback}:${instance.port}/readyz`, { signal: AbortSignal.timeout(2_000) })
      await answer.body?.cancel()
      return answer.ok
    },
    readyEveryMs: 150,
    readyTimeoutMs: 120_000,
  })
}

/** How many services load their code at the same time, and how long one may hold its place: two cores do no more. */
const loadingAtOnce = 3
const longestPlaceMs = 2_500

/**
 * Starts the programs in order, a few at a time. A program that waits for a later one gives its place up after a while, so
 * that the order is a matter of speed and not of correctness.
 */
async function startGradually(
  programs: readonly Program[],
  onStarted: (program: Program) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const starts: Promise<void>[] = []
  let loading = 0
  let failed = false
  for (const program of programs) {
    while (loading >= loadingAtOnce && !failed) await sleep(20)
    signal?.throwIfAborted()
    if (failed) break
    loading++
    const start = program.start().then(() => onStarted(program))
    start.catch(() => (failed = true))
    void Promise.race([start.catch(() => undefined), sleep(longestPlaceMs)]).then(() => loading--)
    starts.push(start)
  }
  const abort = (): void => programs.forEach((program) => void program.stop())
  signal?.addEventListener('abort', abort)
  try {
    await Promise.all(starts)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Rewrites `services.json`: the processes that run now, whole or not at all. */
function writeServices(home: string, services: readonly { name: string; pid: number; port: number }[]): void {
  const file = join(home, 'services.json')
  writeFileSync(`${file}.new`, `${JSON.stringify(services, null, 2)}\n`)
  renameSync(`${file}.new`, file)
}

/** A database of the user's that does not exist yet is made, where the account may. */
async function createMissingDatabase(databaseUrl: string): Promise<void> {
  const name = decodeURIComponent(new URL(databaseUrl).pathname.slice(1))
  const server = new URL(databaseUrl)
  server.pathname = '/postgres'
  if (name === '' || name === 'postgres') return
  // Where the account may not look at "postgres", the services themselves say what is wrong with the database.
  await createDatabase(server.toString(), name).catch(() => undefined)
}

function asService(instance: ServiceInstance, program: Program): Service {
  return {
    name: instance.name,
    port: instance.port,
    url: `http://${loopback}:${instance.port}`,
    get pid() {
      return program.pid
    },
    kill: (signal) => program.kill(signal),
    ended: () => program.ended(),
    restart: () => program.restart(),
    stop: () => program.stop(),
  }
}

const sentence = (line: string): string => `${line.charAt(0).toUpperCase()}${line.slice(1)}${/[.!?…]$/.test(line) ? '' : '.'}`
