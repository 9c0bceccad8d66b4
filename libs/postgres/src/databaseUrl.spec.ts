// The database's address with an authority of one's own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { Authority } from '@stepcast/testing'
import { databaseUrlFromEnv } from './databaseUrl'

describe('DATABASE_URL and DATABASE_CA', () => {
  let directory: string
  let ca: string
  let pem: string
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stepcast-ca-'))
    ca = join(directory, 'my ca.pem')
    pem = (await Authority.make()).cert
    writeFileSync(ca, pem)
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  const nasty = 'postgres://stepcast:p%40ss%2Fw%3Ard%231@db.example:5432/stepcast'
  /** What the driver makes of it. */
  const driver = (url: string) => {
    const { user, password, host, port, database, ssl } = (
      new Client({ connectionString: url }) as unknown as { connectionParameters: any }
    ).connectionParameters
    return { user, password, host, port, database, ssl }
  }

  it('without an authority the address is taken as it is', () => {
    for (const url of [nasty, `${nasty}?sslmode=disable`, `${nasty}?sslmode=verify-full`])
      expect(databaseUrlFromEnv({ DATABASE_URL: url })).toBe(url)
  })

  it.each(['', '?sslmode=verify-full', '?sslmode=require', '?sslmode=prefer', '?sslmode=verify-ca', '?ssl=true', '?connect_timeout=5'])(
    'with one (%s) the connection is by TLS and checked in full, the rest as before',
    (more) => {
      const url = databaseUrlFromEnv({ DATABASE_URL: nasty + more, DATABASE_CA: ca })
      expect(driver(url)).toEqual({
        user: 'stepcast',
        password: 'p@ss/w:rd#1',
        host: 'db.example',
        port: 5432,
        database: 'stepcast',
        ssl: { ca: pem },
      })
    },
  )

  it("whoever asks for libpq's own meaning of the modes has it", () => {
    expect(driver(databaseUrlFromEnv({ DATABASE_URL: `${nasty}?uselibpqcompat=true&sslmode=verify-ca`, DATABASE_CA: ca })).ssl).toEqual({
      ca: pem,
      checkServerIdentity: expect.any(Function),
    })
  })

  it('what is missing or wrong is said', () => {
    const said = (env: Record<string, string | undefined>): string => {
      try {
        return databaseUrlFromEnv(env)
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(said({})).toContain('DATABASE_URL is missing: give postgres://')
    expect(said({ DATABASE_CA: ca })).toContain('DATABASE_URL is missing')
    expect(said({ DATABASE_URL: nasty, DATABASE_CA: join(directory, 'none.pem') })).toMatch(
      /DATABASE_CA names .*none\.pem, which cannot be read: ENOENT/,
    )
    writeFileSync(join(directory, 'empty.pem'), '')
    expect(said({ DATABASE_URL: nasty, DATABASE_CA: join(directory, 'empty.pem') })).toMatch(
      /DATABASE_CA .*empty\.pem\) holds no certificate in PEM/,
    )
    for (const mode of ['sslmode=disable', 'sslmode=no-verify', 'ssl=false', 'ssl=0']) {
      expect(said({ DATABASE_URL: `${nasty}?${mode}`, DATABASE_CA: ca })).toMatch(
        /DATABASE_URL says ssl(mode)?=[a-z-]+, but DATABASE_CA is given/,
      )
    }
    // A password that was not encoded is cut at its # and must not be shown.
    for (const env of [
      { DATABASE_URL: 'postgres://stepcast:secret#1@db/x' },
      { DATABASE_URL: 'postgres://stepcast:p:secret/w:rd#1@db/x', DATABASE_CA: ca },
      { DATABASE_URL: 'secret', DATABASE_CA: ca },
    ]) {
      expect(said(env)).toMatch(/^DATABASE_URL (holds a #|is no URL): .*percent-encoded/)
      expect(said(env)).not.toContain('secret')
    }
  })
})
