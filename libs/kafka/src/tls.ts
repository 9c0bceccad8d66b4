// TLS to the brokers: by the authorities that Node knows or a private one, and our own certificate where the brokers ask for it.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError } from './configError'

/** What a connection by TLS is made with; PEM. */
export interface KafkaTls {
  /** Trusted instead of the authorities that Node knows. */
  readonly ca?: string
  /** Ours, with those between it and its authority, and its key: always both. */
  readonly cert?: string
  readonly key?: string
}

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * Reads KAFKA_SSL and the files KAFKA_SSL_CA, KAFKA_SSL_CERT and KAFKA_SSL_KEY.
 * @returns false: without TLS; true: with nothing of one's own
 * @throws ConfigError naming the variable, the file and what is wrong with it
 */
export function tlsFrom(env: NodeJS.ProcessEnv): boolean | KafkaTls {
  const files = { ca: env.KAFKA_SSL_CA, cert: env.KAFKA_SSL_CERT, key: env.KAFKA_SSL_KEY }
  const given = (Object.keys(files) as (keyof KafkaTls)[]).filter((one) => files[one])
  const wanted = env.KAFKA_SSL?.toLowerCase() || (given.length > 0 ? 'true' : 'false')
  if (wanted !== 'true' && wanted !== 'false') throw new ConfigError(`KAFKA_SSL is "${env.KAFKA_SSL}"; it may be true or false`)
  const names = given.map((one) => `KAFKA_SSL_${one.toUpperCase()}`).join(', ')
  if (wanted === 'false') {
    if (given.length > 0) throw new ConfigError(`KAFKA_SSL is false, but ${names} is given: set KAFKA_SSL=true, or leave the files out`)
    return false
  }
  if (given.length === 0) return true
  if (!files.cert !== !files.key) {
    const missing = files.cert ? 'KEY' : 'CERT'
    throw new ConfigError(
      `KAFKA_SSL_${missing} is missing: a certificate of our own needs KAFKA_SSL_CERT and KAFKA_SSL_KEY, PEM files both`,
    )
  }
  const ca = files.ca && certificatesIn('KAFKA_SSL_CA', files.ca).pem
  return { ...(ca && { ca }), ...(files.cert && files.key && ourOwn(files.cert, files.key)) }
}

function ourOwn(certFile: string, keyFile: string): KafkaTls {
  const { pem: cert, certificates } = certificatesIn('KAFKA_SSL_CERT', certFile)
  const key = read('KAFKA_SSL_KEY', keyFile)
  const ours = certificates[0]!
  if (!ours.checkPrivateKey(keyIn(key, keyFile))) {
    throw new ConfigError(`KAFKA_SSL_KEY (${keyFile}) is not the key of the first certificate in KAFKA_SSL_CERT (${certFile})`)
  }
  if (Date.parse(ours.validTo) < Date.now()) throw new ConfigError(`KAFKA_SSL_CERT (${certFile}) expired on ${ours.validTo}`)
  return { cert, key }
}

/** The certificates of a file, and nothing else of it. */
function certificatesIn(variable: string, file: string): { readonly pem: string; readonly certificates: readonly X509Certificate[] } {
  const blocks = read(variable, file).match(block) ?? []
  if (blocks.length === 0) throw new ConfigError(`${variable} (${file}) holds no certificate in PEM (-----BEGIN CERTIFICATE-----)`)
  try {
    // As blocks on lines of their own: files that were put together by hand often lack a line end in between, which OpenSSL does not read.
    return { pem: `${blocks.join('\n')}\n`, certificates: blocks.map((one) => new X509Certificate(one)) }
  } catch (cause) {
    throw new ConfigError(`${variable} (${file}) holds a certificate that cannot be read: ${(cause as Error).message}`)
  }
}

function keyIn(pem: string, file: string): KeyObject {
  if (pem.includes('ENCRYPTED')) {
    throw new ConfigError(
      `KAFKA_SSL_KEY (${file}) is encrypted: give it without a passphrase (openssl pkey -in ${file} -out key.pem), readable by its owner only`,
    )
  }
  try {
    return createPrivateKey(pem)
  } catch {
    throw new ConfigError(`KAFKA_SSL_KEY (${file}) holds no private key in PEM (-----BEGIN PRIVATE KEY-----)`)
  }
}

function read(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ConfigError(
      `${variable} names ${file}, which cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`,
    )
  }
}
