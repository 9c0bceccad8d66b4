// What `npm start` understands, and what it says to what it does not.
import { join } from 'node:path'
import { checkout, homeFrom, parseArguments, settingsFrom } from './settings'

describe('arguments', () => {
  it('are none, --detach or --help', () => {
    expect(parseArguments([])).toEqual({ detach: false, help: false })
    expect(parseArguments(['--detach'])).toEqual({ detach: true, help: false })
    expect(parseArguments(['-h'])).toEqual({ detach: false, help: true })
  })

  it('are named when they mean nothing', () => {
    expect(() => parseArguments(['--detatch'])).toThrow('Unknown argument --detatch')
  })
})

describe('variables', () => {
  it('have the defaults of the contract', () => {
    expect(settingsFrom({})).toEqual({
      home: join(checkout, '.stepcast'),
      ports: { http: 8080, grpc: 8090, kafka: 9092, registry: 8085, postgres: 5440, sandbox: 8091, sandboxTls: 8092 },
      minuteMs: 60_000,
      partitions: 12,
      use: {},
    })
  })

  it('move ports, data and the length of a minute', () => {
    const settings = settingsFrom({ STEPCAST_HTTP_PORT: '9000', STEPCAST_HOME: '/data', STEPCAST_MINUTE_MS: '100' })
    expect(settings).toMatchObject({ home: '/data', ports: { http: 9000, grpc: 8090 }, minuteMs: 100 })
    expect(homeFrom({ STEPCAST_HOME: '/data' })).toBe('/data')
  })

  it('bring servers of your own', () => {
    const { use, replicationFactor } = settingsFrom({
      KAFKA_BROKERS: 'a:9092,b:9092',
      KAFKA_REPLICATION_FACTOR: '3',
      SCHEMA_REGISTRY_URL: 'http://registry/',
      DATABASE_URL: 'postgres://db/stepcast',
    })
    expect(use).toEqual({ kafkaBrokers: 'a:9092,b:9092', registryUrl: 'http://registry', databaseUrl: 'postgres://db/stepcast' })
    expect(replicationFactor).toBe(3)
  })

  it.each([
    [{ STEPCAST_GRPC_PORT: 'x' }, 'STEPCAST_GRPC_PORT=x is not a port number'],
    [{ STEPCAST_MINUTE_MS: '0' }, 'STEPCAST_MINUTE_MS=0 is not a whole number above 0'],
    [{ DATABASE_URL: 'localhost' }, 'DATABASE_URL=localhost is not a URL'],
  ])('are named when they cannot be used: %o', (env, message) => expect(() => settingsFrom(env)).toThrow(message))
})
