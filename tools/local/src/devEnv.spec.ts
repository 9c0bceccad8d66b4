// `dev.env` is sourced by shells: what is written must come back unchanged.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { devEnvText, parseDevEnv, type DevEnv } from './devEnv'

const variables: DevEnv = {
  STEPCAST_URL: 'http://localhost:8080',
  STEPCAST_GRPC: 'localhost:8090',
  STEPCAST_SANDBOX_URL: 'http://localhost:8091',
  STEPCAST_ROOT_KEY: "rk_it's $HOME; rm",
  KAFKA_BROKERS: 'a:9092,b:9092',
  SCHEMA_REGISTRY_URL: 'http://localhost:8085/apis/ccompat/v7',
  DATABASE_URL: 'postgres://u:p@h/stepcast?sslmode=require&x=1',
}

describe('dev.env', () => {
  it('lists what there is in the order of the contract, plain where it can be', () => {
    expect(devEnvText({ ...variables, STEPCAST_API_KEY: 'sk_1', STEPCAST_WORKSPACE_ID: 'demo' }).split('\n')).toEqual([
      'STEPCAST_URL=http://localhost:8080',
      'STEPCAST_GRPC=localhost:8090',
      'STEPCAST_SANDBOX_URL=http://localhost:8091',
      `STEPCAST_ROOT_KEY='rk_it'\\''s $HOME; rm'`,
      'STEPCAST_WORKSPACE_ID=demo',
      'STEPCAST_API_KEY=sk_1',
      'KAFKA_BROKERS=a:9092,b:9092',
      'SCHEMA_REGISTRY_URL=http://localhost:8085/apis/ccompat/v7',
      `DATABASE_URL='postgres://u:p@h/stepcast?sslmode=require&x=1'`,
      '',
    ])
  })

  it('comes back from a shell as it was', () => {
    const directory = mkdtempSync(join(tmpdir(), 'stepcast-env-'))
    const file = join(directory, 'dev.env')
    writeFileSync(file, devEnvText(variables))
    const shown = execFileSync('/bin/sh', ['-c', `. ${file}; printf '%s\\n' "$STEPCAST_ROOT_KEY" "$DATABASE_URL"`]).toString()
    expect(shown).toBe(`${variables.STEPCAST_ROOT_KEY}\n${variables.DATABASE_URL}\n`)
    rmSync(directory, { recursive: true })
  })

  it('tells how to sign in, last and by name', () => {
    expect(devEnvText(variables, { SCHEMA_REGISTRY_AUTH: 'u:p', KAFKA_SASL_PASSWORD: 'a b' })).toMatch(
      /\nKAFKA_SASL_PASSWORD='a b'\nSCHEMA_REGISTRY_AUTH=u:p\n$/,
    )
  })

  it('comes back from our own reader as it was', () => {
    expect(parseDevEnv(devEnvText(variables))).toEqual(variables)
  })
})
