// Signing in to a Kafka of one's own: every variable that is missing or wrong is named, with what it may be.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { Authority } from '@stepcast/testing'
import { clientOptions, kafkaConfigFromEnv } from './config'

let directory: string
let ca: Authority
const file = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'stepcast-tls-'))
  ca = await Authority.make()
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const read = (env: NodeJS.ProcessEnv) => kafkaConfigFromEnv({ KAFKA_BROKERS: 'a:9092, b:9093', ...env }, 'spec')
const oauth = {
  KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT: 'https://idp.example/token',
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: 'stepcast',
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: 's',
}

describe('brokers', () => {
  it('are host:port, several separated by commas', () => {
    expect(read({})).toMatchObject({ brokers: ['a:9092', 'b:9093'], ssl: false, sasl: null })
    expect(read({ KAFKA_BROKERS: '[::1]:9092' }).brokers).toEqual(['[::1]:9092'])
  })

  it.each([
    ['', 'KAFKA_BROKERS is missing'],
    [' , ', 'KAFKA_BROKERS is missing'],
    ['kafka-1', '"kafka-1": give host:port'],
    ['a:9092,b', '"b": give host:port'],
    ['kafka://a:9092', '"kafka://a:9092": give host:port'],
    ['a:port', '"a:port": give host:port'],
  ])('%j: %s', (brokers, sentence) => expect(() => read({ KAFKA_BROKERS: brokers })).toThrow(sentence))
})

describe('sign-in', () => {
  it.each(['plain', 'scram-sha-256', 'scram-sha-512', 'SCRAM-SHA-512'])('by name and password: %s', (mechanism) => {
    expect(read({ KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p@ss/w:rd#1' }).sasl).toEqual({
      mechanism: mechanism.toLowerCase(),
      username: 'u',
      password: 'p@ss/w:rd#1',
    })
  })

  it('by a token', () => expect(read(oauth).sasl).toMatchObject({ mechanism: 'oauthbearer', oauthBearerProvider: expect.any(Function) }))

  it.each<[NodeJS.ProcessEnv, string]>([
    [
      { KAFKA_SASL_MECHANISM: 'SCRAM_SHA_512' },
      'KAFKA_SASL_MECHANISM is "SCRAM_SHA_512"; it may be plain, scram-sha-256, scram-sha-512, oauthbearer',
    ],
    [{ KAFKA_SASL_MECHANISM: 'gssapi' }, 'it may be plain'],
    [{ KAFKA_SASL_MECHANISM: 'plain' }, 'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD is missing'],
    [
      { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_SASL_USERNAME: 'u' },
      'KAFKA_SASL_PASSWORD is missing: KAFKA_SASL_MECHANISM=scram-sha-512 needs',
    ],
    [{ ...oauth, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT: '' }, 'KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT is missing'],
    [{ ...oauth, KAFKA_SASL_OAUTHBEARER_CLIENT_ID: undefined }, 'KAFKA_SASL_OAUTHBEARER_CLIENT_ID is missing'],
    [{ ...oauth, KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: undefined }, 'KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET is missing'],
    [
      { ...oauth, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT: 'idp.example/token' },
      'KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT is "idp.example/token"; it must be an https address',
    ],
    [
      { KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' },
      'KAFKA_SASL_USERNAME is given, but KAFKA_SASL_MECHANISM is not: it may be plain',
    ],
    [{ ...oauth, KAFKA_SASL_MECHANISM: undefined }, 'KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT is given, but KAFKA_SASL_MECHANISM is not'],
  ])('%j: %s', (env, sentence) => expect(() => read(env)).toThrow(sentence))
})

describe('TLS', () => {
  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{}, false],
    [{ KAFKA_SSL: '' }, false],
    [{ KAFKA_SSL: 'false' }, false],
    [{ KAFKA_SSL: 'true' }, true],
    [{ KAFKA_SSL: 'TRUE' }, true],
  ])('%j', (env, ssl) => expect(read(env).ssl).toBe(ssl))

  it('a private authority, and our own certificate, are read from files; they mean TLS', async () => {
    const { cert, key } = await ca.issue({ name: 'stepcast' })
    const KAFKA_SSL_CA = file('ca.pem', ca.cert)
    expect(read({ KAFKA_SSL_CA }).ssl).toEqual({ ca: `${ca.cert.trim()}\n` })
    // With those in between, put together without a line end, and with what tools write around them.
    const own = { KAFKA_SSL_CERT: file('own.pem', `subject=CN=stepcast\n${cert.trim()}${ca.cert}`), KAFKA_SSL_KEY: file('own.key', key) }
    const chain = `${cert.trim()}\n${ca.cert.trim()}\n`
    expect(read({ ...own, KAFKA_SSL: 'true' }).ssl).toEqual({ cert: chain, key })
    const { ssl } = clientOptions(read({ ...own, KAFKA_SSL_CA }))
    expect(ssl).toEqual({ ca: `${ca.cert.trim()}\n`, cert: chain, key })
    createSecureContext(ssl as object)
  })

  it('what is wrong with a file is said, with its variable and its name', async () => {
    const [ours, other] = [await ca.issue({ name: 'stepcast' }), await ca.issue({ name: 'other' })]
    const [cert, key] = [file('cert.pem', ours.cert), file('key.pem', ours.key)]
    const expectSaid = (env: NodeJS.ProcessEnv, ...words: string[]): void => {
      for (const word of words) expect(() => read(env)).toThrow(word)
    }
    expectSaid({ KAFKA_SSL: 'yes' }, 'KAFKA_SSL is "yes"; it may be true or false')
    expectSaid({ KAFKA_SSL: 'false', KAFKA_SSL_CA: file('ca2.pem', ca.cert) }, 'KAFKA_SSL is false, but KAFKA_SSL_CA is given')
    expectSaid({ KAFKA_SSL_CERT: cert }, 'KAFKA_SSL_KEY is missing')
    expectSaid({ KAFKA_SSL_KEY: key, KAFKA_SSL: 'true' }, 'KAFKA_SSL_CERT is missing')
    expectSaid({ KAFKA_SSL_CA: join(directory, 'none.pem') }, 'KAFKA_SSL_CA names', 'none.pem', 'ENOENT')
    expectSaid({ KAFKA_SSL_CA: directory }, 'KAFKA_SSL_CA names', 'EISDIR')
    expectSaid({ KAFKA_SSL_CA: file('keystore.p12', '\u0000\u0001') }, 'KAFKA_SSL_CA', 'keystore.p12', 'holds no certificate in PEM')
    expectSaid(
      { KAFKA_SSL_CA: file('cut.pem', ca.cert.replace(/\n.*\n-----END/, '\n-----END')) },
      'KAFKA_SSL_CA',
      'holds a certificate that cannot be read',
    )
    expectSaid({ KAFKA_SSL_CERT: key, KAFKA_SSL_KEY: key }, 'KAFKA_SSL_CERT', 'holds no certificate')
    expectSaid({ KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: cert }, 'KAFKA_SSL_KEY', 'holds no private key')
    expectSaid({ KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: file('other.key', other.key) }, 'KAFKA_SSL_KEY', 'is not the key of')
    const locked = await ca.issue({ name: 'stepcast', passphrase: 'secret' })
    expectSaid(
      { KAFKA_SSL_CERT: file('locked.pem', locked.cert), KAFKA_SSL_KEY: file('locked.key', locked.key) },
      'KAFKA_SSL_KEY',
      'is encrypted',
      'without a passphrase',
    )
    const old = await ca.issue({ name: 'stepcast', notAfter: new Date('2020-01-01T00:00:00Z') })
    expectSaid(
      { KAFKA_SSL_CERT: file('old.pem', old.cert), KAFKA_SSL_KEY: file('old.key', old.key) },
      'KAFKA_SSL_CERT',
      'expired on Jan  1',
    )
  })
})
