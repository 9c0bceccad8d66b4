// The certificate of the TLS address: from files, or made for this process.
import { readFileSync } from 'node:fs'
import type { Env } from '@stepcast/service'

/** A certificate with its key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/**
 * The certificate that SANDBOX_CERT_FILE and SANDBOX_KEY_FILE name, or a new one for localhost, 127.0.0.1 and ::1, good for a year.
 * It signs itself: whoever trusts it (NODE_EXTRA_CA_CERTS) trusts nothing else by it.
 * @throws Error when only one file is given, or one cannot be read
 */
export async function certificateOf({ SANDBOX_CERT_FILE: certFile, SANDBOX_KEY_FILE: keyFile }: Env): Promise<Certificate> {
  if (certFile && keyFile) return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  if (certFile || keyFile) throw new Error('SANDBOX_CERT_FILE and SANDBOX_KEY_FILE belong together: give both or none')
  return selfSigned()
}

/** Makes a certificate: P-256, 30 ms. The library is loaded only here, since who brings files does not need it. */
async function selfSigned(): Promise<Certificate> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { generate } = require('selfsigned') as typeof import('selfsigned')
  const names = [
    { type: 2, value: 'localhost' },
    { type: 7, ip: '127.0.0.1' },
    { type: 7, ip: '::1' },
  ] as const
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [...names] }],
  })
  return { cert: made.cert, key: made.private }
}
