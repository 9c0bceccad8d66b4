// A Kafka as companies run it: nobody comes in without TLS and a name, each name may do what its ACLs say, and nothing is set for us.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaConnection, kafkaConfigFromEnv, silentLog } from '@stepcast/kafka'
import { checkout } from '@stepcast/local'
import { fetchJars, freePort, javaCommand, loopback, Program } from '@stepcast/stack'
import { Authority } from '@stepcast/testing'

/** Who comes in by name and password, and their passwords: an administrator, our installation, a shop that sends. */
export interface Passwords {
  readonly admin: string
  readonly stepcast: string
  readonly shop: string
}

/** Files of somebody's certificate, PEM. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

/** A running Kafka of somebody else's. */
export interface ForeignKafka {
  /** `host:port` of each way in. */
  readonly sasl: string
  readonly mutualTls: string
  readonly oauth: string
  readonly passwords: Passwords
  /** The private authority's certificate: a file in PEM. */
  readonly ca: string
  /** What clients show where certificates are asked for. */
  readonly own: { readonly stepcast: CertificateFiles; readonly warehouse: CertificateFiles }
  /** The variables by which our code signs in as an administrator. */
  readonly admin: NodeJS.ProcessEnv
  stop(): Promise<void>
}

const jvmFlags = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-Djava.awt.headless=true']

const password = (): string => `${randomBytes(12).toString('base64url')}@/:#1`

/** Starts it in a directory; `signal` aborts the start. */
export async function startForeignKafka(home: string, authority: Authority, signal: AbortSignal): Promise<ForeignKafka> {
  mkdirSync(join(home, 'kafka'), { recursive: true })
  mkdirSync(join(home, 'tls'), { recursive: true, mode: 0o700 })
  const tls = new Files(join(home, 'tls'))
  const ca = tls.write('ca.pem', authority.cert)
  const broker = await authority.issue({ name: 'broker' })
  const keystore = tls.write('broker.pem', [broker.key, broker.cert, authority.cert].join('\n'))
  const own = { stepcast: await tls.certificateOf(authority, 'stepcast'), warehouse: await tls.certificateOf(authority, 'warehouse') }
  const passwords: Passwords = { admin: password(), stepcast: password(), shop: password() }
  const [sasl, mutualTls, oauth, controller] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const settings = tls.write(
    'server.properties',
    settingsOf({ data: join(home, 'kafka'), sasl, mutualTls, oauth, controller, ca, keystore }),
  )

  const { broker: jars } = await fetchJars(() => {}, signal)
  const java = javaCommand(process.env)
  const classPath = join(jars, '*')
  const logging = `-Dlog4j2.configurationFile=${join(checkout, 'tools', 'stack', 'broker-log.properties')}`
  // Passwords are arguments here as Kafka's tool wants them: they live as long as this check.
  const users = Object.entries(passwords).flatMap(([name, secret]) => ['--add-scram', `SCRAM-SHA-512=[name=${name},password=${secret}]`])
  await run(
    java,
    [
      '-Xshare:auto',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      classPath,
      logging,
      'kafka.tools.StorageTool',
      'format',
      `--cluster-id=${randomBytes(16).toString('base64url')}`,
      '--config',
      settings,
      ...users,
    ],
    signal,
  )
  const admin = {
    KAFKA_BROKERS: `${loopback}:${sasl}`,
    KAFKA_SSL_CA: ca,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'admin',
    KAFKA_SASL_PASSWORD: passwords.admin,
  }
  const program = new Program({
    name: 'foreign-kafka',
    home,
    command: java,
    args: [...jvmFlags, logging, '-cp', classPath, 'kafka.Kafka', settings],
    env: process.env,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 15_000,
    isReady: () => answers(admin),
    readyEveryMs: 500,
    readyTimeoutMs: 90_000,
  })
  const abort = (): void => void program.stop()
  signal.addEventListener('abort', abort)
  await program.start().finally(() => signal.removeEventListener('abort', abort))
  return {
    sasl: `${loopback}:${sasl}`,
    mutualTls: `${loopback}:${mutualTls}`,
    oauth: `${loopback}:${oauth}`,
    passwords,
    ca,
    own,
    admin,
    stop: () => program.stop(),
  }
}

/** Connects as somebody; nothing connects before it is used. */
export const connectionAs = (env: NodeJS.ProcessEnv): KafkaConnection =>
  // No registry is asked here.
  new KafkaConnection({
    kafka: kafkaConfigFromEnv(env, 'foreign-check'),
    registry: { url: 'http://127.0.0.1:1', auth: null },
    log: silentLog,
  })

async function answers(admin: NodeJS.ProcessEnv): Promise<boolean> {
  const connection = connectionAs(admin)
  try {
    await Promise.race([connection.clusterId(), new Promise((_, fail) => setTimeout(() => fail(new Error('no answer')), 3_000))])
    return true
  } finally {
    await connection.close()
  }
}

// Kafka's numbers for them: org.apache.kafka.common.acl.AclOperation, …resource.ResourceType, …PatternType.
const operation = { read: 3, write: 4, create: 5, delete: 6, describe: 8, describeConfigs: 10 }
const resource = { topic: 2, group: 3 }
const pattern = { literal: 3, prefixed: 4 }
const allow = 3

// As docs/operations.md says; their names begin so.
const groups = [
  'orchestrator',
  'template-svc',
  'people-svc',
  'send-svc',
  'gateway',
  'inapp-dispatcher',
  'push-dispatcher',
  'sms-dispatcher',
  'messenger-dispatcher',
  'metrics-svc',
]

/** Gives each name what it may do: our installation its topics, which it makes, and its groups; senders the one topic they write. */
export async function giveRights({ admin: env }: ForeignKafka): Promise<void> {
  const connection = connectionAs(env)
  try {
    const rights = (
      principal: string,
      resourceType: number,
      resourceName: string,
      resourcePatternType: number,
      operations: readonly number[],
    ) =>
      operations.map((one) => ({
        principal: `User:${principal}`,
        host: '*',
        operation: one,
        permissionType: allow,
        resourceType,
        resourceName,
        resourcePatternType,
      }))
    const { read, write, create, delete: remove, describe, describeConfigs } = operation
    const acl = ['stepcast', 'CN=stepcast'].flatMap((name) => [
      ...rights(name, resource.topic, 'stepcast.', pattern.prefixed, [create, read, write, describe, describeConfigs]),
      ...groups.flatMap((group) => rights(name, resource.group, group, pattern.prefixed, [read, describe])),
      ...rights(name, resource.group, 'replay-dead-letters-', pattern.prefixed, [read, remove]),
    ])
    const senders = ['shop', 'CN=warehouse'].flatMap((name) =>
      rights(name, resource.topic, 'stepcast.sends.v1', pattern.literal, [write, describe]),
    )
    await (await connection.admin()).createAcls({ acl: [...acl, ...senders] })
  } finally {
    await connection.close()
  }
}

interface Layout {
  readonly data: string
  readonly sasl: number
  readonly mutualTls: number
  readonly oauth: number
  readonly controller: number
  readonly ca: string
  readonly keystore: string
}

const oauthModule = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'

/** Kafka's defaults but for what one broker alone needs (replication) and for who may come in. */
function settingsOf({ data, sasl, mutualTls, oauth, controller, ca, keystore }: Layout): string {
  const listeners = { SASL: sasl, MTLS: mutualTls, OAUTH: oauth }
  const at = Object.entries(listeners)
    .map(([name, port]) => `${name}://${loopback}:${port}`)
    .join(',')
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    listeners: `${at},CONTROLLER://${loopback}:${controller}`,
    'advertised.listeners': at,
    'listener.security.protocol.map': 'SASL:SASL_SSL,MTLS:SSL,OAUTH:SASL_SSL,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'MTLS',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@${loopback}:${controller}`,
    'log.dirs': data,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keystore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': ca,
    'listener.name.mtls.ssl.client.auth': 'required',
    'listener.name.sasl.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'listener.name.sasl.scram-sha-512.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'listener.name.oauth.sasl.enabled.mechanisms': 'OAUTHBEARER',
    'listener.name.oauth.oauthbearer.sasl.jaas.config': oauthModule,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // The controller's listener knows no names; only this machine's broker comes that way.
    'super.users': 'User:admin;User:CN=broker;User:ANONYMOUS',
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

class Files {
  constructor(private readonly directory: string) {}

  write(name: string, content: string): string {
    const file = join(this.directory, name)
    writeFileSync(file, content, { mode: 0o600 })
    return file
  }

  async certificateOf(authority: Authority, name: string): Promise<CertificateFiles> {
    const { cert, key } = await authority.issue({ name })
    return { cert: this.write(`${name}.pem`, `${cert}\n${authority.cert}`), key: this.write(`${name}.key`, key) }
  }
}

function run(command: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    execFile(command, [...args], { signal }, (error, stdout, stderr) =>
      error === null ? done() : fail(new Error(`The foreign Kafka could not be made:\n${stdout}${stderr}`)),
    )
  })
}
