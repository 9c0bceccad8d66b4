// `npm run foreign`: the whole system on servers of somebody else's, sent to by producers that most people have.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep } from '@stepcast/stack'
import { Authority } from '@stepcast/testing'
import { Client } from 'pg'
import { Checks, expectSame } from './checks'
import { deadLettersAreRead } from './deadLetters'
import { startInstallation, type Installation } from './installation'
import { connectionAs, giveRights, startForeignKafka, type ForeignKafka } from './kafka'
import { eachArrivedOnce, everySendEnds, nothingPutAside, numbersEqual, prepare, sendsOf } from './play'
import { startForeignServers, type ForeignServers } from './postgres'
import { pythonVersion, pythonWithPackages } from './python'
import { sendByJava, sendByLibrdkafka, type Surroundings } from './senders'
import { startTokenServer } from './tokenServer'

const help = `npm run foreign

Starts a Kafka that asks for TLS by a private authority, a name (SCRAM, OAUTHBEARER or a certificate) and rights, and a PostgreSQL with an
ordinary role, by TLS; then the system on them as npm start with variables does. librdkafka (Python) and Kafka's Java producer send to people,
every send must become one sequence that runs to its end, and the numbers must agree. Under three minutes. Needs Java, Maven and Python 3.

--keep   keeps data and logs (kept anyway after a failure)`

/** Of each of the four producers; ten of the first are sent again by the last. */
const sendsEach = 60
const repeated = 10
/** A few renewals are seen within half a minute. */
const tokenLifeS = 15

type Undo = (() => Promise<void> | void)[]

async function check(home: string, checks: Checks, undo: Undo, signal: AbortSignal): Promise<void> {
  const version = await pythonVersion(signal)
  const authority = await Authority.make("Somebody else's authority")
  const servers = join(home, 'servers')
  checks.say('Starting a Kafka with SASL_SSL, mTLS and ACLs, a PostgreSQL with an ordinary role, a registry; fetching librdkafka …')
  const [kafka, database, python] = await allOf([
    startForeignKafka(join(home, 'kafka'), authority, signal).then((started) => (undo.push(() => started.stop()), started)),
    startForeignServers(servers, authority, signal).then((started) => (undo.push(() => started.stop()), started)),
    pythonWithPackages(version, signal),
  ])
  await giveRights(kafka)
  const scram = signIn(kafka, 'stepcast', kafka.passwords.stepcast)

  await checks.that('a wrong password is told at once, in a sentence', () =>
    expectRefused(signIn(kafka, 'stepcast', 'wrong'), /authentication failed/i),
  )
  await checks.that('SCRAM-SHA-512 over TLS with a private authority', () => seesTheCluster(scram))
  await checks.that('a certificate of our own (mTLS)', () =>
    seesTheCluster({
      KAFKA_BROKERS: kafka.mutualTls,
      KAFKA_SSL_CA: kafka.ca,
      KAFKA_SSL_CERT: kafka.own.stepcast.cert,
      KAFKA_SSL_KEY: kafka.own.stepcast.key,
    }),
  )
  const oauth = checks.that(`OAUTHBEARER, over tokens of ${tokenLifeS} s`, () => signsInAnew(kafka, undo))

  checks.say('Starting the system on them …')
  const installation = await startInstallation(
    join(home, 'stepcast'),
    {
      ...scram,
      SCHEMA_REGISTRY_URL: database.registryUrl,
      DATABASE_URL: database.databaseUrl,
      DATABASE_CA: kafka.ca,
      STEPCAST_MINUTE_MS: '100',
    },
    (line) => checks.say(`      ${line.slice(0, 160)}`),
    signal,
  )
  undo.push(() => installation.stop())
  await checks.that('npm start on them: every part is ready', async () =>
    expectSame('GET /readyz', (await fetch(`${installation.url}/readyz`)).status, 200),
  )
  await prepare(installation)
  const sent = await send(checks, installation, python, { kafka, registryUrl: database.registryUrl, home, signal })
  await checks.that('every send is one sequence that ran over three channels to its end', () => everySendEnds(installation, sent.sequences))
  await checks.that(`the metrics count ${sent.sequences.length} of each`, () => numbersEqual(installation, sent.sequences.length))
  await checks.that('each message reached its provider once', () => eachArrivedOnce(installation, sent.sequences.length))
  await checks.that('nothing was put aside', () => nothingPutAside(kafka, sent.written))
  await checks.that("a dead letter is read by the demo's program and by replay-dead-letters, which know dev.env alone", () =>
    deadLettersAreRead(kafka, installation),
  )
  await checks.that('who may only send may not read', () =>
    expectRefused(signIn(kafka, 'shop', kafka.passwords.shop), /authoriz/i, 'stepcast.users.v1'),
  )
  await checks.that("the database was reached by TLS, and PostgreSQL's 100 connections were enough", () => ordinaryConnections(database))
  await oauth
  await checks.that('it stops in order', () => installation.stop())
}

const signIn = (kafka: ForeignKafka, name: string, password: string): NodeJS.ProcessEnv => ({
  KAFKA_BROKERS: kafka.sasl,
  KAFKA_SSL_CA: kafka.ca,
  KAFKA_SASL_MECHANISM: 'scram-sha-512',
  KAFKA_SASL_USERNAME: name,
  KAFKA_SASL_PASSWORD: password,
})

/** Waits for all also when one fails: what they start must be known before it is stopped. */
async function allOf<T extends readonly unknown[]>(parts: { readonly [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const ended = await Promise.allSettled(parts)
  const failure = ended.find((one) => one.status === 'rejected')
  if (failure !== undefined) throw (failure as PromiseRejectedResult).reason
  return ended.map((one) => (one as PromiseFulfilledResult<unknown>).value) as unknown as T
}

async function seesTheCluster(env: NodeJS.ProcessEnv): Promise<void> {
  const connection = connectionAs(env)
  try {
    if (!(await connection.clusterId())) throw new Error('no cluster id')
  } finally {
    await connection.close()
  }
}

async function expectRefused(env: NodeJS.ProcessEnv, words: RegExp, topic?: string): Promise<void> {
  const connection = connectionAs(env)
  const begin = Date.now()
  try {
    const problem = await (topic === undefined ? connection.clusterId() : connection.endOffsets(topic)).then(
      () => null,
      (error: Error) => error.message,
    )
    if (problem === null) throw new Error('it was let in')
    if (!words.test(problem)) throw new Error(`it says: ${problem}`)
    if (Date.now() - begin > 15_000) throw new Error(`it took ${Date.now() - begin} ms`)
  } finally {
    await connection.close()
  }
}

/** One connection over several tokens: the client signs in anew before each ends, which nobody notices. */
async function signsInAnew(kafka: ForeignKafka, undo: Undo): Promise<void> {
  const tokens = await startTokenServer('stepcast', tokenLifeS)
  undo.push(() => tokens.stop())
  const connection = connectionAs({
    KAFKA_BROKERS: kafka.oauth,
    KAFKA_SSL_CA: kafka.ca,
    KAFKA_SASL_MECHANISM: 'oauthbearer',
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT: tokens.url,
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID: tokens.clientId,
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: tokens.clientSecret,
  })
  try {
    const until = Date.now() + tokenLifeS * 2_000
    while (Date.now() < until) {
      await connection.clusterId()
      await sleep(500)
    }
    if (tokens.given() < 3) throw new Error(`only ${tokens.given()} tokens were asked for in ${tokenLifeS * 2} s`)
  } finally {
    await connection.close()
  }
}

async function send(checks: Checks, installation: Installation, python: string, around: Surroundings) {
  const [lz4, zstd, snappy, gzip] = ['python-lz4', 'python-zstd', 'java-snappy', 'java-gzip'].map((name) =>
    sendsOf(installation, name, sendsEach),
  ) as [ReturnType<typeof sendsOf>, ReturnType<typeof sendsOf>, ReturnType<typeof sendsOf>, ReturnType<typeof sendsOf>]
  const again = [...gzip, ...lz4.slice(0, repeated)]
  const acknowledges = (what: string, sends: typeof lz4, by: () => Promise<number>) =>
    checks.that(`${what}: ${sends.length} acknowledged`, async () => expectSame('acknowledged', await by(), sends.length))
  await Promise.all([
    acknowledges('librdkafka by SASL_SSL, lz4', lz4, () => sendByLibrdkafka(python, around, 'SASL_SSL', 'lz4', lz4)),
    acknowledges('Java by mTLS, snappy', snappy, () => sendByJava(around, 'mTLS', 'snappy', snappy)),
  ])
  await Promise.all([
    acknowledges('librdkafka by mTLS, zstd', zstd, () => sendByLibrdkafka(python, around, 'mTLS', 'zstd', zstd)),
    acknowledges(`Java by SASL_SSL, gzip, ${repeated} of them sent before`, again, () => sendByJava(around, 'SASL_SSL', 'gzip', again)),
  ])
  return { sequences: [...lz4, ...zstd, ...snappy, ...gzip], written: sendsEach * 4 + repeated }
}

async function ordinaryConnections({ superuserUrl, databaseUrl }: ForeignServers): Promise<void> {
  const client = new Client({ connectionString: superuserUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ open: string; plain: string; superuser: boolean }>(
      `SELECT count(*) AS open, count(*) FILTER (WHERE NOT ssl) AS plain, bool_or(rolsuper OR rolcreatedb) AS superuser
       FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) JOIN pg_roles ON rolname = usename WHERE usename = $1`,
      [new URL(databaseUrl).username],
    )
    const { open, plain, superuser } = rows[0]!
    if (Number(open) === 0) throw new Error('nobody is connected')
    expectSame('connections without TLS', Number(plain), 0)
    expectSame('rights over the server', superuser, false)
  } finally {
    await client.end()
  }
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const unknown = args.find((argument) => !['--keep', '--help', '-h'].includes(argument))
  if (unknown !== undefined) throw new Error(`Unknown argument ${unknown}. Try: npm run foreign -- --help`)
  if (args.includes('--help') || args.includes('-h')) return console.log(help)
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) return
      console.log('Stopping …')
      abort.abort(new Error('Stopped.'))
    })
  }
  const checks = new Checks((line) => console.log(line))
  const home = mkdtempSync(join(tmpdir(), 'stepcast-foreign-'))
  const undo: Undo = []
  await check(home, checks, undo, abort.signal).catch((error: Error) => {
    checks.failed++
    checks.say(`FAIL  ${abort.signal.aborted ? 'stopped' : error.message}`)
  })
  for (const step of undo.reverse()) await Promise.resolve(step()).catch((error: Error) => checks.say(error.message))
  if (checks.failed === 0 && !args.includes('--keep')) rmSync(home, { recursive: true, force: true })
  else checks.say(`Data and logs are kept in ${home}.`)
  console.log(checks.summary)
  process.exit(checks.failed === 0 ? 0 : 1)
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
