// The certificate of the sandbox's TLS address: made in the data directory, trusted by the push dispatcher and nobody else.
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePrivately } from './secrets'

/** Files in PEM. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

const renewBeforeMs = 30 * 24 * 3_600_000
const goodForMs = 365 * 24 * 3_600_000

/**
 * The certificate of a data directory, for localhost and its addresses; a new one a month before the last one ends.
 * @param names further DNS names it is good for
 */
export async function sandboxCertificate(home: string, names: readonly string[] = []): Promise<CertificateFiles> {
  const files = { certFile: join(home, 'secrets', 'sandbox-cert.pem'), keyFile: join(home, 'secrets', 'sandbox-key.pem') }
  if (isGood(files, names)) return files
  // Loaded when it is needed: once a year.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { generate } = require('selfsigned') as typeof import('selfsigned')
  const dnsNames = ['localhost', ...names].map((value) => ({ type: 2, value }) as const)
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + goodForMs),
    extensions: [{ name: 'subjectAltName', altNames: [...dnsNames, { type: 7, ip: '127.0.0.1' }, { type: 7, ip: '::1' }] }],
  })
  writePrivately(files.keyFile, made.private)
  writePrivately(files.certFile, made.cert)
  return files
}

function isGood({ certFile, keyFile }: CertificateFiles, names: readonly string[]): boolean {
  if (!existsSync(certFile) || !existsSync(keyFile)) return false
  const certificate = new X509Certificate(readFileSync(certFile))
  return names.every((name) => certificate.checkHost(name) !== undefined) && Date.parse(certificate.validTo) - Date.now() > renewBeforeMs
}
