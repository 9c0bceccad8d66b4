// The local Kafka broker: one JVM that is broker and controller (KRaft), on the loopback address.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brokerWorks } from './brokerProbe'
import { javaCommand, javaEnvironment } from './java'
import type { Jars } from './jars'
import { freePort, loopback } from './ports'
import { Program } from './program'

/** Each costs files and start time; eight spread the groups of ten services well enough. */
const offsetsPartitions = 8

/**
 * Half a gigabyte of heap at most, and the cheapest collector and compiler: the broker shares two cores with everything
 * else, and at a thousand sends a second spends little time in its own code.
 */
const jvmFlags = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-Djava.awt.headless=true']

/**
 * Prepares the broker of a data directory and returns its program, not yet started.
 *
 * @param port where clients reach it; kept over restarts
 * @param more settings of the broker that win over ours
 */
export async function prepareBroker(home: string, port: number, jars: Jars, more: BrokerSettings = {}): Promise<Program> {
  const data = join(home, 'kafka')
  const settings = join(home, 'run', 'kafka.properties')
  mkdirSync(data, { recursive: true })
  // Phone numbers stand in it: nobody else of this machine reads them.
  chmodSync(data, 0o700)
  mkdirSync(join(home, 'run'), { recursive: true })
  writeFileSync(settings, brokerSettings({ data, port, controllerPort: await freePort() }, more))
  const java = javaCommand(process.env)
  const classPath = join(jars.broker, '*')
  const logging = `-Dlog4j2.configurationFile=${join(__dirname, '..', 'broker-log.properties')}`
  if (!existsSync(join(data, 'meta.properties'))) {
    // A Kafka uuid: 16 bytes in base64url. One in 64 begins with a dash, which the tool takes for an option: hence the `=`.
    const clusterId = randomBytes(16).toString('base64url')
    await run(java, [
      '-Xshare:auto',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      classPath,
      logging,
      'kafka.tools.StorageTool',
      'format',
      `--cluster-id=${clusterId}`,
      '--config',
      settings,
      '--ignore-formatted',
    ])
  }
  return new Program({
    name: 'kafka',
    home,
    command: java,
    args: [...jvmFlags, logging, '-cp', classPath, 'kafka.Kafka', settings],
    env: javaEnvironment(process.env),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 15_000,
    isReady: () => brokerWorks(loopback, port, offsetsPartitions),
    readyEveryMs: 100,
    // Two to four seconds, also after a crash with many partitions to read; a machine with other work on all its cores took 46 s.
    readyTimeoutMs: 120_000,
  })
}

/** Lines of the broker's `server.properties`. */
export type BrokerSettings = Readonly<Record<string, string | number | boolean>>

/** The broker's `server.properties`; `more` wins over ours. */
export function brokerSettings(where: { data: string; port: number; controllerPort: number }, more: BrokerSettings = {}): string {
  const { data, port, controllerPort } = where
  const settings: BrokerSettings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    listeners: `PLAINTEXT://${loopback}:${port},CONTROLLER://${loopback}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${loopback}:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@${loopback}:${controllerPort}`,
    'log.dirs': data,

    // There is one broker: every replication factor is one.
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,

    // Topics are made with their settings at start; a misspelt name must be an error and not a new topic.
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': offsetsPartitions,
    'transaction.state.log.num.partitions': 2,
    'share.coordinator.state.topic.num.partitions': 1,
    // Services come one at a time here: waiting for more members would only delay the first.
    'group.initial.rebalance.delay.ms': 0,
    // Lets tests of a lost consumer take a second and not six.
    'group.min.session.timeout.ms': 1_000,

    // The largest send is 64 kB of variables for one user; 4 MB leaves room for batches and for templates.
    'message.max.bytes': 4_194_304,
    'replica.fetch.max.bytes': 4_194_304,

    // An idle broker should sleep. Its controller would write an empty record twice a second, for followers it has not.
    'metadata.max.idle.interval.ms': 0,
    // After a kill the controller lets the broker in again only when its old session has run out: this is the shortest
    // that a busy machine of two cores does not mistake for a death.
    'broker.heartbeat.interval.ms': 1_000,
    'broker.session.timeout.ms': 4_000,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    // 128 MB of the heap by default, for logs with tens of millions of keys.
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    ...more,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join('')
}

/** Java reads properties as ISO-8859-1: a directory with other characters would be made beside, under a garbled name. */
const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { env: javaEnvironment(process.env) }, (error, stdout, stderr) =>
      error === null ? resolve() : reject(new Error(`The broker's data directory could not be made:\n${stdout}${stderr}`)),
    )
  })
}
