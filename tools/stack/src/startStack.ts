// Starts the broker, the schema registry and the database that Stepcast runs on, or uses those of the user.
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { prepareBroker, type BrokerSettings } from './broker'
import { fetchJars } from './jars'
import { requireJava } from './java'
import { stopLeftovers } from './pidFile'
import { freePort, loopback, requirePortsFree } from './ports'
import { createDatabase, preparePostgres, type PostgresSettings } from './postgres'
import type { Program } from './program'
import { confluentApi, prepareRegistry, refreshRegistry, type RegistryStorage } from './registry'

/** The database of the services. */
const servicesDatabase = 'stepcast'
/** The database of the registry, apart because its tables are not ours. */
const registryDatabase = 'registry'

/** What to start and where. */
export interface StackOptions {
  /** The data directory; made when missing. Everything the stack keeps and logs is in it. */
  readonly home: string
  /** Where to listen on 127.0.0.1. 0 or absent: any free port. */
  readonly ports?: { readonly kafka?: number; readonly registry?: number; readonly postgres?: number }
  /** What the user brings: it is used and never started, stopped or looked at. */
  readonly use?: { readonly kafkaBrokers?: string; readonly registryUrl?: string; readonly databaseUrl?: string }
  /** Settings of our broker that win over its usual ones, for specs of what otherwise takes minutes. */
  readonly brokerSettings?: BrokerSettings
  /** Likewise of our PostgreSQL, by its names. */
  readonly postgresSettings?: PostgresSettings
  /** Called with one line for a person whenever something has been done. */
  readonly onProgress?: (line: string) => void
  /** Aborts the start: what has been started is stopped, and `startStack` rejects. */
  readonly signal?: AbortSignal
}

/**
 * One of the three programs.
 *
 * `kill` sends a signal as the operating system would; `restart` brings the program back, stopped before or not, and waits
 * until it works; `stop` asks it to end and waits until it is gone. The port stays the same throughout.
 */
export type Part = Pick<Program, 'name' | 'pid' | 'kill' | 'ended' | 'start' | 'restart' | 'stop' | 'onExit'> & { readonly port: number }

/** The running programs and how to reach them. */
export interface Stack {
  /** `host:port`, as for `KAFKA_BROKERS`. */
  readonly kafkaBrokers: string
  /** The Confluent-compatible API, as for `SCHEMA_REGISTRY_URL`. */
  readonly registryUrl: string
  /** The services' database, as for `DATABASE_URL`. */
  readonly databaseUrl: string
  /** The programs that were started; undefined where the user brings their own. */
  readonly parts: { readonly broker?: Part; readonly registry?: Part; readonly postgres?: Part }
  /** The programs of the parts, for whoever supervises them. */
  readonly programs: readonly Program[]
  /** Stops every started program, the registry before its database, and waits until all are gone. */
  stop(): Promise<void>
}

/**
 * Starts a real Kafka broker, schema registry and PostgreSQL on one data directory and waits until they work. A second
 * start on the same directory finds the data again, also after a kill.
 *
 * @throws AlreadyRunning when the directory belongs to a running system
 * @throws PortInUse naming the port and its variable
 * @throws ProgramFailed with the last lines of the log; nothing is left running then
 * @throws Error when Java or Maven is missing, saying how to go on
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const home = resolve(options.home)
  const use = options.use ?? {}
  const { onProgress = () => undefined, signal } = options
  mkdirSync(home, { recursive: true })
  const stopped = await stopLeftovers(home)
  if (stopped.length > 0) onProgress(`Stopped what an earlier start left running: ${stopped.join(', ')}.`)

  const ports = await choosePorts(options)
  const started: Program[] = []
  let failure: { readonly reason: unknown } | undefined
  const start = async (program: Program): Promise<void> => {
    signal?.throwIfAborted()
    if (failure !== undefined) throw new Error(`${program.name} was not started: something else failed.`)
    started.push(program)
    const begin = Date.now()
    await program.start()
    onProgress(`${program.name} works (${((Date.now() - begin) / 1000).toFixed(1)} s).`)
  }
  const stop = async (): Promise<void> => {
    const [first, others] = [started.filter(({ name }) => name === 'registry'), started.filter(({ name }) => name !== 'registry')]
    await Promise.all(first.map((program) => program.stop()))
    await Promise.all(others.map((program) => program.stop()))
  }

  const needsJava = use.kafkaBrokers === undefined || use.registryUrl === undefined
  const jars = needsJava ? requireJava(process.env).then(() => fetchJars(onProgress, signal)) : undefined
  // Whoever waits for it hears of a failure; nobody may, when something else has failed before.
  jars?.catch(() => undefined)

  const startPostgres = async () => {
    if (use.databaseUrl !== undefined) return undefined
    const postgres = await preparePostgres(home, ports.postgres, options.postgresSettings)
    await start(postgres.program)
    await createDatabase(postgres.url('postgres'), servicesDatabase)
    await createDatabase(postgres.url('postgres'), registryDatabase)
    return postgres
  }
  const startBroker = async (): Promise<Program | undefined> => {
    if (use.kafkaBrokers !== undefined || jars === undefined) return undefined
    const program = await prepareBroker(home, ports.kafka, await jars, options.brokerSettings)
    await start(program)
    return program
  }
  const startRegistry = async (postgres: Awaited<ReturnType<typeof startPostgres>>): Promise<Program | undefined> => {
    if (use.registryUrl !== undefined || jars === undefined) return undefined
    const storage: RegistryStorage =
      postgres === undefined
        ? { kind: 'file' }
        : { kind: 'postgres', port: ports.postgres, database: registryDatabase, user: postgres.user, password: postgres.password }
    const program = prepareRegistry(home, ports.registry, await jars, storage)
    await start(program)
    return program
  }

  const abort = (): void => void stop()
  signal?.addEventListener('abort', abort)
  const postgresStarted = startPostgres()
  const failed = (reason: unknown): void => {
    failure ??= { reason }
    // The others need not go on: each start that is stopped ends, and so does this one.
    void stop()
  }
  const starts = [postgresStarted, startBroker(), postgresStarted.then(startRegistry)] as const
  for (const start of starts) start.catch(failed)
  const outcomes = await Promise.allSettled(starts)
  signal?.removeEventListener('abort', abort)
  if (failure !== undefined) {
    await stop()
    signal?.throwIfAborted()
    throw failure.reason
  }
  const [postgres, broker, registry] = outcomes.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as [
    Awaited<ReturnType<typeof startPostgres>>,
    Program | undefined,
    Program | undefined,
  ]

  if (registry !== undefined)
    postgres?.program.onReady(async () => {
      if (registry.pid !== undefined) await refreshRegistry(ports.registry)
    })

  return {
    kafkaBrokers: use.kafkaBrokers ?? `${loopback}:${ports.kafka}`,
    registryUrl: use.registryUrl ?? `http://${loopback}:${ports.registry}${confluentApi}`,
    databaseUrl: use.databaseUrl ?? postgres?.url(servicesDatabase) ?? '',
    parts: {
      ...(broker && { broker: asPart(broker, ports.kafka) }),
      ...(registry && { registry: asPart(registry, ports.registry) }),
      ...(postgres && { postgres: asPart(postgres.program, ports.postgres) }),
    },
    programs: started,
    stop,
  }
}

/** Checks the ports that were asked for and finds free ones for the rest. */
async function choosePorts({ ports = {}, use = {} }: StackOptions): Promise<{ kafka: number; registry: number; postgres: number }> {
  const wanted = [
    { port: ports.kafka ?? 0, purpose: 'Kafka', variable: 'STEPCAST_KAFKA_PORT', own: use.kafkaBrokers === undefined },
    { port: ports.registry ?? 0, purpose: 'schema registry', variable: 'STEPCAST_REGISTRY_PORT', own: use.registryUrl === undefined },
    { port: ports.postgres ?? 0, purpose: 'PostgreSQL', variable: 'STEPCAST_POSTGRES_PORT', own: use.databaseUrl === undefined },
  ] as const
  await requirePortsFree(wanted.filter(({ own }) => own))
  return {
    kafka: ports.kafka || (await freePort()),
    registry: ports.registry || (await freePort()),
    postgres: ports.postgres || (await freePort()),
  }
}

function asPart(program: Program, port: number): Part {
  return {
    name: program.name,
    port,
    get pid() {
      return program.pid
    },
    kill: (signal) => program.kill(signal),
    ended: () => program.ended(),
    start: () => program.start(),
    restart: () => program.restart(),
    stop: () => program.stop(),
    onExit: (listener) => program.onExit(listener),
  }
}
