// Where the database is, read from the environment; by TLS with an authority of one's own where DATABASE_CA names one.
import { readFileSync } from 'node:fs'
import { InstallationError } from '@stepcast/contracts'

/** What is read of the environment. */
export type DatabaseEnv = Readonly<Record<string, string | undefined>>

const wellFormed = 'give postgres://user:password@host:port/database, with what is special in the password percent-encoded (# is %23)'

/** What the driver would do with them: encrypt without looking whom it talks to, or not at all. */
const unchecked = ['disable', 'no-verify']

/**
 * Reads DATABASE_URL and DATABASE_CA, a PEM file. With it the connection is by TLS, the certificate must come from that authority and be
 * for the host (`sslmode=verify-full`, which is what our driver makes of `prefer`, `require` and `verify-ca` too).
 * @throws InstallationError naming the variable
 */
export function databaseUrlFromEnv(env: DatabaseEnv): string {
  const { DATABASE_URL: address, DATABASE_CA: ca } = env
  if (!address) throw new InstallationError('DATABASE_URL is missing: give postgres://user:password@host:port/database')
  // Cut there, it may still be a URL, of another server.
  if (address.includes('#')) throw new InstallationError(`DATABASE_URL holds a #: ${wellFormed}`)
  if (!ca) return address
  requireCertificate(ca)
  if (!URL.canParse(address)) throw new InstallationError(`DATABASE_URL is no URL: ${wellFormed}`)
  const url = new URL(address)
  const mode = url.searchParams.get('sslmode')
  if ((mode !== null && unchecked.includes(mode)) || ['false', '0'].includes(url.searchParams.get('ssl') ?? '')) {
    throw new InstallationError(
      `DATABASE_URL says ${mode === null ? 'ssl=false' : `sslmode=${mode}`}, but DATABASE_CA is given: leave one of them out`,
    )
  }
  url.searchParams.set('sslrootcert', ca)
  // Who asks for libpq's own meaning of the modes keeps it.
  if (url.searchParams.get('uselibpqcompat') !== 'true') url.searchParams.set('sslmode', 'verify-full')
  return url.toString()
}

function requireCertificate(file: string): void {
  let pem: string
  try {
    pem = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new InstallationError(
      `DATABASE_CA names ${file}, which cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`,
    )
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new InstallationError(`DATABASE_CA (${file}) holds no certificate in PEM (-----BEGIN CERTIFICATE-----)`)
}
