// The pre-flight on real servers: what is wrong with each is told in one sentence that names its variable, and nothing is made.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { Client } from 'pg'
import { encryptionKeysOf, requireKeys, encryptionKeysTableSql } from '@stepcast/accounts'
import { KafkaConnection, setUpCluster, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { createPool } from '@stepcast/postgres'
import { freePort, startStack, type Stack } from '@stepcast/stack'
import { eventually, startTransactionPooler, type Pooler } from '@stepcast/testing'
import { preflight, PreflightFailed } from './preflight'

const answerWithinMs = 15_000
const home = mkdtempSync(join(tmpdir(), 'stepcast-preflight-'))
const { SPEC_SCHEMA_REGISTRY_URL: registryUrl = '', SPEC_DATABASE_URL: databaseUrl = '' } = process.env
const unique = `preflight_${process.pid}`
let cluster: Stack
let saslPort: number
let admin: Client

beforeAll(async () => {
  const [port, controller] = [await freePort(), await freePort()]
  saslPort = await freePort()
  const listener = (name: string, at: number): string => `${name}://127.0.0.1:${at}`
  cluster = await startStack({
    home,
    ports: { kafka: port },
    use: { registryUrl, databaseUrl },
    brokerSettings: {
      listeners: [listener('PLAINTEXT', port), listener('SASL', saslPort), listener('CONTROLLER', controller)].join(','),
      'advertised.listeners': [listener('PLAINTEXT', port), listener('SASL', saslPort)].join(','),
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.sasl.plain.sasl.jaas.config': 'org.apache.kafka.common.security.plain.PlainLoginModule required user_app="secret";',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    },
  })
  admin = new Client({ connectionString: databaseUrl })
  await admin.connect()
})
afterAll(async () => {
  await admin?.end()
  await cluster?.stop()
  rmSync(home, { recursive: true, force: true })
})

/** What a person reads; empty where nothing stands in the way. */
async function said(env: NodeJS.ProcessEnv, more: Partial<Parameters<typeof preflight>[0]> = {}): Promise<string> {
  const begin = Date.now()
  try {
    await preflight({
      env,
      registry: env['SCHEMA_REGISTRY_URL'] !== undefined,
      ...(env['KAFKA_BROKERS'] !== undefined && { kafka: { partitions: 12, replicationFactor: 1, servicesRunAsUs: true } }),
      ...(env['DATABASE_URL'] !== undefined && { database: { url: env['DATABASE_URL'] } }),
      ...more,
    })
    return ''
  } catch (error) {
    if (!(error instanceof PreflightFailed)) throw error
    return error.message
  } finally {
    expect(Date.now() - begin).toBeLessThan(answerWithinMs)
  }
}

describe('Kafka', () => {
  const plain = (): NodeJS.ProcessEnv => ({ KAFKA_BROKERS: cluster.kafkaBrokers })
  const signedIn = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    KAFKA_BROKERS: `127.0.0.1:${saslPort}`,
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_SASL_USERNAME: 'app',
    KAFKA_SASL_PASSWORD: 'secret',
    ...more,
  })

  it('a cluster that is right', async () => expect(await said(plain())).toBe(''))

  it('nothing listens', async () => {
    const port = await freePort()
    expect(await said({ KAFKA_BROKERS: `127.0.0.1:${port}` })).toMatch(
      new RegExp(`^KAFKA_BROKERS: no Kafka answers at 127\\.0\\.0\\.1:${port} \\(ECONNREFUSED\\)`),
    )
  })

  it('one of two addresses is wrong: the other will do', async () => {
    expect(await said({ KAFKA_BROKERS: `127.0.0.1:${await freePort()},${cluster.kafkaBrokers}` })).toBe('')
  })

  it('KAFKA_SSL on a listener without TLS', async () => {
    expect(await said({ ...plain(), KAFKA_SSL: 'true' })).toMatch(
      /^KAFKA_SSL is set, but 127\.0\.0\.1:\d+ does not speak TLS: unset KAFKA_SSL/,
    )
  })

  describe('a listener with TLS', () => {
    let tls: TlsServer
    beforeAll(async () => {
      const { private: key, cert } = await generate([{ name: 'commonName', value: 'kafka' }])
      tls = createTlsServer({ key, cert }).listen(0, '127.0.0.1')
      tls.on('tlsClientError', () => {})
      await new Promise((resolve) => tls.once('listening', resolve))
    })
    afterAll(() => void tls.close())
    const at = (): string => `127.0.0.1:${(tls.address() as AddressInfo).port}`

    it('and no KAFKA_SSL', async () =>
      expect(await said({ KAFKA_BROKERS: at() })).toMatch(/^KAFKA_SSL is not set, but 127\.0\.0\.1:\d+ speaks TLS: set KAFKA_SSL=true/))

    it('by an authority that nobody knows', async () => {
      expect(await said({ KAFKA_BROKERS: at(), KAFKA_SSL: 'true' })).toMatch(
        /^KAFKA_SSL: 127\.0\.0\.1:\d+ and Stepcast do not agree on TLS \(.*SELF_SIGNED.*\): KAFKA_SSL_CA names/,
      )
    })
  })

  it('something else than Kafka', async () => {
    const web = createServer((_, response) => void response.end()).listen(0, '127.0.0.1')
    await new Promise((resolve) => web.once('listening', resolve))
    expect(await said({ KAFKA_BROKERS: `127.0.0.1:${(web.address() as AddressInfo).port}` })).toMatch(
      /^KAFKA_BROKERS: what answers at 127\.0\.0\.1:\d+ is not Kafka/,
    )
    web.close()
  })

  it('a sign-in that is wanted and not given, given and not wanted, by another mechanism, with another password', async () => {
    expect(await said({ KAFKA_BROKERS: `127.0.0.1:${saslPort}` })).toMatch(
      /^KAFKA_SASL_MECHANISM is not set, but 127\.0\.0\.1:\d+ wants a sign-in \(plain\): set KAFKA_SASL_MECHANISM/,
    )
    expect(await said(signedIn({ KAFKA_BROKERS: cluster.kafkaBrokers }))).toMatch(/^KAFKA_SASL_MECHANISM is set, but .* wants no sign-in/)
    expect(await said(signedIn({ KAFKA_SASL_MECHANISM: 'scram-sha-512' }))).toMatch(
      /^KAFKA_SASL_MECHANISM is scram-sha-512, but .* takes plain/,
    )
    expect(await said(signedIn({ KAFKA_SASL_PASSWORD: 'wrong' }))).toMatch(
      /^KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: Kafka refuses the sign-in of app/,
    )
    expect(await said(signedIn({ KAFKA_SASL_MECHANISM: 'SCRAM_SHA_512' }))).toMatch(/^KAFKA_SASL_MECHANISM is "SCRAM_SHA_512"; it may be/)
  })

  it('a user who may not create topics', async () => {
    expect(await said(signedIn())).toMatch(
      /^KAFKA_SASL_USERNAME: the user app may not create .*stepcast\.sends\.v1.*: give it Create, or have them made as docs\/topics\.md says/,
    )
  })

  it('replicas that the cluster has no brokers for', async () => {
    expect(await said(plain(), { kafka: { partitions: 12, replicationFactor: 3, servicesRunAsUs: true } })).toMatch(
      /^KAFKA_REPLICATION_FACTOR: Kafka cannot make/,
    )
  })

  describe('topics made beforehand, and a user with few rights', () => {
    const prefix = 'lent.'
    const env = (user: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
      ...user,
      STEPCAST_TOPIC_PREFIX: prefix,
      SCHEMA_REGISTRY_URL: registryUrl,
    })
    const [read, write, describes, describeConfigs] = [3, 4, 8, 10]
    let connection: KafkaConnection
    // Rights reach the broker a moment after they are given.
    const allow = async (resourceType: number, resourceName: string, operations: readonly number[]): Promise<void> => {
      const acl = operations.map((operation) => ({
        principal: 'User:app',
        host: '*',
        operation,
        permissionType: 3,
        resourceType,
        resourceName,
        resourcePatternType: 4,
      }))
      await (await connection.admin()).createAcls({ acl })
    }
    beforeAll(async () => {
      connection = new KafkaConnection({
        kafka: kafkaConfigFromEnv(env(plain()), 'spec'),
        registry: registryConfigFromEnv(env(plain())),
        log: silentLog,
      })
      await setUpCluster({
        kafka: kafkaConfigFromEnv(env(plain()), 'spec'),
        registry: registryConfigFromEnv(env(plain())),
        partitions: 12,
        replicationFactor: 1,
      })
      await allow(2, `${prefix}stepcast.`, [describes!, describeConfigs!])
    })
    afterAll(() => connection.close())

    it('each right that services lack is named, until they have it', async () => {
      const soon = (expected: (text: string) => void): Promise<unknown> =>
        eventually(async () => {
          expected(await said(env(signedIn())))
          return true
        })
      await soon((text) => {
        expect(text).toMatch(
          /^KAFKA_SASL_USERNAME: the user app may not read lent\.stepcast\..*: services that run so need Read, as docs\/topics\.md says\.$/m,
        )
        expect(text).toMatch(/^KAFKA_SASL_USERNAME: the user app may not write to .*lent\.stepcast\.sends\.v1.*need Write/m)
        expect(text).toMatch(
          /^KAFKA_SASL_USERNAME: the user app may not read in the consumer groups lent\.gateway\.replica\.stepcast\.workspaces\.v1\.\*, .*lent\.orchestrator, .*need Read/m,
        )
      })
      // Services may run as others than whoever sets up.
      const lines: string[] = []
      expect(
        await said(env(signedIn()), {
          kafka: { partitions: 12, replicationFactor: 1, servicesRunAsUs: false },
          onProgress: (line) => lines.push(line),
        }),
      ).toBe('')
      expect(lines.filter((line) => line.startsWith('WARNING: KAFKA_SASL_USERNAME: the user app may not'))).toHaveLength(3)
      await allow(2, `${prefix}stepcast.`, [read!])
      await allow(3, prefix, [describes!])
      await soon((text) => {
        expect(text).not.toContain('may not read lent.')
        expect(text).toContain('may not write to')
        // To see a group is not to read in it.
        expect(text).toContain('may not read in the consumer groups')
      })
      await allow(2, `${prefix}stepcast.`, [write!])
      await allow(3, prefix, [read!])
      await soon((text) => expect(text).toBe(''))
    })
  })

  describe('topics that somebody made', () => {
    const prefix = 'made.'
    const env = (): NodeJS.ProcessEnv => ({ ...plain(), STEPCAST_TOPIC_PREFIX: prefix, SCHEMA_REGISTRY_URL: registryUrl })
    beforeAll(async () => {
      const connection = new KafkaConnection({
        kafka: kafkaConfigFromEnv(env(), 'spec'),
        registry: registryConfigFromEnv(env()),
        log: silentLog,
      })
      const made = (name: string, numPartitions: number, settings: Record<string, string>) => ({
        topic: `${prefix}stepcast.${name}.v1`,
        numPartitions,
        replicationFactor: 1,
        configEntries: Object.entries(settings).map(([key, value]) => ({ name: key, value })),
      })
      await (await connection.admin()).createTopics({
        topics: [
          made('users', 12, { 'cleanup.policy': 'delete', 'retention.ms': '3600000' }),
          made('sends', 12, { 'retention.ms': '60000', 'max.message.bytes': '4194304' }),
          made('controls', 6, {
            'retention.ms': '604800000',
            'segment.ms': '86400000',
            'max.message.bytes': '4194304',
            'compression.type': 'snappy',
          }),
        ],
      })
      await connection.close()
    })
    const wrong = [
      'topic made.stepcast.users.v1: cleanup.policy is delete and must be compact',
      'topic made.stepcast.sends.v1: retention.ms is 60000 and must be 604800000 (7 days)',
      'topic made.stepcast.controls.v1 has 6 partitions, this installation 12',
    ]

    it('are all named with setting, value and what it must be', async () => {
      const text = await said(env())
      for (const sentence of wrong) expect(text).toContain(sentence)
      expect(text).toContain('Nothing was made on these servers.')
    })

    it('and set-up refuses them too; what only differs it warns of', async () => {
      const lines: string[] = []
      const setUp = setUpCluster({
        kafka: kafkaConfigFromEnv(env(), 'spec'),
        registry: registryConfigFromEnv(env()),
        partitions: 12,
        replicationFactor: 1,
        onProgress: (line) => lines.push(line),
      })
      await expect(setUp).rejects.toThrow(wrong[0])
      expect(lines.join('\n')).toContain('WARNING: topic made.stepcast.controls.v1: compression.type is snappy and should be producer')
    })
  })
})

describe('the schema registry', () => {
  it('that is right', async () => expect(await said({ SCHEMA_REGISTRY_URL: registryUrl })).toBe(''))

  it('is down', async () => {
    const port = await freePort()
    expect(await said({ SCHEMA_REGISTRY_URL: `http://127.0.0.1:${port}/apis/ccompat/v7` })).toMatch(
      /^SCHEMA_REGISTRY_URL: no schema registry answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/,
    )
  })

  it.each(['', '/apis', '/apis/registry/v3'])('at another path (%s): the right one is named', async (path) => {
    const { origin } = new URL(registryUrl)
    expect(await said({ SCHEMA_REGISTRY_URL: origin + path })).toContain(`SCHEMA_REGISTRY_URL=${origin}/apis/ccompat/v7`)
  })

  describe('by what it answers', () => {
    let server: Server
    let answers: (path: string) => readonly [number, unknown]
    beforeAll(async () => {
      server = createServer((request, response) => {
        const [status, body] = answers(request.url!)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
    })
    afterAll(() => void server.close())
    const at = (): NodeJS.ProcessEnv => ({ SCHEMA_REGISTRY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
    const levels =
      (ofSubject: (subject: string) => string | null) =>
      (path: string): readonly [number, unknown] => {
        const subject = /^\/config\/(.*)$/.exec(path)?.[1]
        if (subject === undefined) return [200, path === '/subjects' ? [] : {}]
        const level = ofSubject(subject)
        return level === null ? [404, { error_code: 40408 }] : [200, { compatibilityLevel: level }]
      }

    it('a sign-in is wanted, or refused', async () => {
      answers = () => [401, {}]
      expect(await said(at())).toMatch(/^SCHEMA_REGISTRY_AUTH is not set, but/)
      expect(await said({ ...at(), SCHEMA_REGISTRY_AUTH: 'a:b' })).toMatch(
        /^SCHEMA_REGISTRY_AUTH: the schema registry at .* refuses the sign-in \(401\)/,
      )
    })

    it('it is something else', async () => {
      answers = () => [200, { hello: 'world' }]
      expect(await said(at())).toMatch(/^SCHEMA_REGISTRY_URL: .* is not the Confluent API of a schema registry/)
    })

    it('a stricter level is fine, none too; a weaker one names its subject', async () => {
      answers = levels((subject) => (subject.includes('sends') ? 'FULL' : null))
      expect(await said(at())).toBe('')
      answers = levels((subject) => (subject.includes('users') ? 'NONE' : 'BACKWARD_TRANSITIVE'))
      expect(await said(at())).toMatch(
        /^SCHEMA_REGISTRY_URL: subject stepcast\.users\.v1-value of the schema registry has the compatibility level NONE/,
      )
    })
  })
})

describe('PostgreSQL', () => {
  const as = (changes: Partial<Record<'username' | 'password' | 'port' | 'pathname' | 'search', string>>): NodeJS.ProcessEnv => {
    const url = new URL(databaseUrl)
    Object.assign(url, changes)
    return { DATABASE_URL: url.toString() }
  }
  const role = `${unique}_role`
  const database = `${unique}_db`
  beforeAll(async () => {
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    await admin.query(`CREATE DATABASE ${database}`)
  })
  afterAll(async () => {
    await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
    await admin.query(`DROP ROLE IF EXISTS ${role}`)
  })
  const ordinary = { username: role, password: 'secret', pathname: `/${database}` }

  it('that is right', async () => expect(await said(as({ pathname: `/${database}` }))).toBe(''))

  it('nothing listens', async () =>
    expect(await said(as({ port: String(await freePort()) }))).toMatch(/^DATABASE_URL: nothing listens at 127\.0\.0\.1:\d+/))

  it('a password that is wrong', async () => {
    expect(await said(as({ ...ordinary, password: 'other' }))).toMatch(
      new RegExp(`^DATABASE_URL: PostgreSQL at .* refuses the password of ${role}`),
    )
  })

  it('TLS that the server does not speak', async () => {
    expect(await said(as({ search: '?sslmode=require' }))).toMatch(/^DATABASE_URL: PostgreSQL at .* speaks no TLS: take sslmode out/)
  })

  it('a database that is missing: made by whoever may, else named', async () => {
    expect(await said(as({ pathname: `/${unique}_none` }))).toBe('')
    expect(await said(as({ ...ordinary, pathname: `/${unique}_none` }))).toMatch(
      new RegExp(`^DATABASE_URL: there is no database "${unique}_none" at .*: CREATE DATABASE`),
    )
  })

  it('a role that may not create schemas, nor tables, nor change tables of another', async () => {
    expect(await said(as(ordinary))).toMatch(
      new RegExp(`^DATABASE_URL: the role "${role}" may not create the schemas gateway, .* in "${database}": GRANT CREATE ON DATABASE`),
    )
    await admin.query(`GRANT CREATE ON DATABASE ${database} TO ${role}`)
    expect(await said(as(ordinary))).toBe('')
    const owner = new Client({ connectionString: as({ pathname: `/${database}` })['DATABASE_URL'] })
    await owner.connect()
    await owner.query('CREATE SCHEMA send_svc')
    expect(await said(as(ordinary))).toMatch(/may not create tables in send_svc \(of stepcast\): GRANT USAGE, CREATE ON SCHEMA/)
    await owner.query(`GRANT USAGE, CREATE ON SCHEMA send_svc TO ${role}; CREATE TABLE send_svc.sends (id int)`)
    expect(await said(as(ordinary))).toMatch(/tables in send_svc belong to another role than/)
    await owner.query('DROP SCHEMA send_svc CASCADE')
    await owner.end()
  })

  it('read-only', async () => {
    await admin.query(`ALTER ROLE ${role} SET default_transaction_read_only = on`)
    expect(await said(as(ordinary))).toMatch(/^DATABASE_URL: the database at .* is read-only/)
    await admin.query(`ALTER ROLE ${role} RESET default_transaction_read_only`)
  })

  it('too few connections for all pools, by the role, the database or the variables', async () => {
    await admin.query(`ALTER ROLE ${role} CONNECTION LIMIT 40`)
    expect(await said(as(ordinary))).toMatch(
      /^DATABASE_URL: Stepcast may open 87 connections and PostgreSQL at .* gives 40 \(the role's limit is 40\)/,
    )
    await admin.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`)
    expect(await said({ ...as(ordinary), STEPCAST_POOL_ORCHESTRATOR: '500' })).toMatch(
      /may open 575 connections and PostgreSQL at .* gives 197 \(max_connections is 200, 3 of them reserved\): raise max_connections/,
    )
    expect(await said({ ...as(ordinary), STEPCAST_POOL_GATEWAY: 'x' })).toMatch(/^STEPCAST_POOL_GATEWAY is "x"/)
  })

  describe('behind a pool in transaction mode', () => {
    let pooler: Pooler
    afterEach(() => pooler.stop())

    it('that refuses `options`', async () => {
      pooler = await startTransactionPooler(databaseUrl, 'refuse')
      expect(await said({ DATABASE_URL: pooler.url })).toMatch(
        /^DATABASE_URL: at .* is a connection pool \(PgBouncer\) that refuses `options`\. Stepcast needs sessions of its own/,
      )
    })

    it('that drops them', async () => {
      pooler = await startTransactionPooler(databaseUrl, 'drop')
      expect(await said({ DATABASE_URL: pooler.url })).toMatch(/is a connection pool \(PgBouncer, or alike\) that drops `options`/)
    })

    it('that passes them on, and shares sessions', async () => {
      pooler = await startTransactionPooler(databaseUrl, 'pass')
      expect(await said({ DATABASE_URL: pooler.url })).toMatch(/that shares sessions between clients \(transaction mode\)/)
    })
  })

  it('keys that do not fit what the database holds, or none: the variable and the file are named', async () => {
    const env = (secret: string | undefined, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
      ...as({ pathname: `/${database}` }),
      ...(secret && { STEPCAST_INTERNAL_SECRET: secret }),
      ...more,
    })
    const withFile = (own: NodeJS.ProcessEnv): Promise<string> =>
      said(own, { database: { url: own['DATABASE_URL']!, keyFile: '/x/.stepcast/secrets/internal' } })
    const pool = createPool({ databaseUrl: env('a')['DATABASE_URL']!, schema: 'gateway', applicationName: 'spec' })
    await pool.query(`CREATE SCHEMA gateway; ${encryptionKeysTableSql}`)
    await requireKeys(pool, encryptionKeysOf({ STEPCAST_INTERNAL_SECRET: 'the first' }))
    expect(await withFile(env('the first'))).toBe('')
    expect(await withFile(env('another'))).toMatch(
      /^STEPCAST_INTERNAL_SECRET \(\/x\/\.stepcast\/secrets\/internal\) is not what the signing keys and provider accounts in this database are sealed with \(the database needs the key with the fingerprint [0-9a-f]{16}, given: [0-9a-f]{16}\)/,
    )
    expect(await withFile(env(undefined))).toMatch(/^STEPCAST_INTERNAL_SECRET \(.*none was given/)
    expect(await withFile(env('the first', { STEPCAST_ENCRYPTION_KEY: 'new' }))).toMatch(
      /^STEPCAST_ENCRYPTION_KEY \(of the environment\) is not what/,
    )
    expect(await withFile(env('x', { STEPCAST_ENCRYPTION_KEY: 'new', STEPCAST_ENCRYPTION_KEY_PREVIOUS: 'the first' }))).toBe('')
    await pool.query('DROP SCHEMA gateway CASCADE')
    await pool.end()
  })
})

it('tells what is wrong with all servers at once, and what it is doing meanwhile', async () => {
  const lines: string[] = []
  const port = await freePort()
  const text = await said(
    {
      KAFKA_BROKERS: `127.0.0.1:${port}`,
      SCHEMA_REGISTRY_URL: `http://127.0.0.1:${port}`,
      DATABASE_URL: `postgres://a:b@127.0.0.1:${port}/c`,
    },
    { onProgress: (line) => lines.push(line) },
  )
  expect(text.split('\n').map((line) => /^\w+/.exec(line)?.[0])).toEqual([
    'KAFKA_BROKERS',
    'SCHEMA_REGISTRY_URL',
    'DATABASE_URL',
    'Nothing',
  ])
  expect(lines[0]).toMatch(/^Looking at Kafka \(.*\), the schema registry \(.*\), PostgreSQL \(127\.0\.0\.1:\d+\/c\) … 0 s$/)
})
