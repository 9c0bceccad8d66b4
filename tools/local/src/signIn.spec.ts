// Sign-ins go with the servers they are for.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { foreignServers, leftOnServers, noteForeignServers } from './foreignServers'
import { settingsFrom } from './settings'
import { signInsOf, withoutStraySignIns } from './signIn'

const env = {
  PATH: '/bin',
  KAFKA_BROKERS: 'a:1',
  KAFKA_SSL: 'true',
  KAFKA_SSL_CA: '/ca',
  KAFKA_SASL_MECHANISM: 'plain',
  KAFKA_SASL_USERNAME: 'u',
  KAFKA_SASL_PASSWORD: 'p',
  KAFKA_SASL_OAUTHBEARER_SCOPE: 's',
  SCHEMA_REGISTRY_AUTH: 'u:p',
  DATABASE_CA: '/db',
  STEPCAST_MINUTE_MS: '1',
}

it('a system that starts its own servers signs in nowhere', () => {
  expect(withoutStraySignIns(env, { kafka: false, registry: false, database: false })).toEqual({
    PATH: '/bin',
    KAFKA_BROKERS: 'a:1',
    STEPCAST_MINUTE_MS: '1',
  })
})

it("one that uses some of the user's servers signs in there alone", () => {
  expect(Object.keys(withoutStraySignIns(env, { kafka: true, registry: false, database: false }))).toEqual(
    expect.arrayContaining(['KAFKA_SSL', 'KAFKA_SSL_CA', 'KAFKA_SASL_OAUTHBEARER_SCOPE']),
  )
  expect(signInsOf({ ...env, KAFKA_SSL_CA: '' }, { kafka: true, registry: true, database: false })).toEqual({
    KAFKA_SSL: 'true',
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_SASL_USERNAME: 'u',
    KAFKA_SASL_PASSWORD: 'p',
    KAFKA_SASL_OAUTHBEARER_SCOPE: 's',
    SCHEMA_REGISTRY_AUTH: 'u:p',
  })
})

it('only npm start reads where the real providers are', () => {
  expect(settingsFrom({ TWILIO_ENDPOINT: 'https://api.twilio.com', FCM_ENDPOINT: '' }).providers).toEqual({
    TWILIO_ENDPOINT: 'https://api.twilio.com',
  })
  expect(settingsFrom({}).providers).toBeUndefined()
})

describe("servers of the user's", () => {
  const home = mkdtempSync(join(tmpdir(), 'stepcast-foreign-'))
  afterAll(() => rmSync(home, { recursive: true }))

  it('are noted without credentials, each once, and a reset says what stays on them and that the keys are kept', () => {
    expect(foreignServers(home)).toEqual({ kafka: [], registry: [], database: [] })
    expect(leftOnServers(foreignServers(home), home)).toEqual([])
    const use = { kafkaBrokers: 'k:9092', registryUrl: 'http://u:secret@r/apis', databaseUrl: 'postgres://u:secret@db:5433/marketing' }
    noteForeignServers(home, use)
    noteForeignServers(home, use)
    noteForeignServers(home, {})
    expect(foreignServers(home)).toEqual({ kafka: ['k:9092'], registry: ['http://r/apis'], database: ['db:5433/marketing'] })
    const said = leftOnServers(foreignServers(home), home).join('\n')
    expect(said).toMatch(
      /database db:5433\/marketing .*DATABASE_URL\n.*Kafka at k:9092: KAFKA_BROKERS\n.*http:\/\/r\/apis: SCHEMA_REGISTRY_URL\nKept .*secrets: without its keys nothing sealed in that database opens/,
    )
    expect(said).not.toContain('secret@')
  })

  it('without a database of theirs the keys need not stay', () => {
    expect(leftOnServers({ kafka: ['k:9092'], registry: [], database: [] }, home).join('\n')).not.toContain('Kept')
  })
})
