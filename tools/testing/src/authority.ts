// A private certificate authority, as companies have: made for one spec, trusted by whoever is told to.
// Loaded when it is needed: most specs need none.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const selfsigned = (): typeof import('selfsigned') => require('selfsigned') as typeof import('selfsigned')

/** A certificate with its key, PEM. */
export interface Issued {
  readonly cert: string
  readonly key: string
}

/** For whom a certificate is. */
export interface Holder {
  /** The subject's common name. */
  readonly name: string
  /** DNS names and addresses it is good for; localhost and the loopback addresses unless given. */
  readonly hosts?: readonly string[]
  readonly notAfter?: Date
  /** The key is encrypted with it. */
  readonly passphrase?: string
}

const local = ['localhost', '127.0.0.1', '::1']
const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host)

/** An authority whose certificates servers and clients show. */
export class Authority {
  private constructor(private readonly own: Issued) {}

  /** A new one; takes 20 ms. */
  static async make(name = 'Private CA'): Promise<Authority> {
    const made = await selfsigned().generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      curve: 'P-256',
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    })
    return new Authority({ cert: made.cert, key: made.private })
  }

  /** What is trusted: PEM. */
  get cert(): string {
    return this.own.cert
  }

  async issue({ name, hosts = local, notAfter, passphrase }: Holder): Promise<Issued> {
    const made = await selfsigned().generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      curve: 'P-256',
      algorithm: 'sha256',
      ca: this.own,
      ...(notAfter && { notBeforeDate: new Date(notAfter.getTime() - 86_400_000), notAfterDate: notAfter }),
      ...(passphrase !== undefined && { passphrase }),
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        { name: 'subjectAltName', altNames: hosts.map((host) => (isAddress(host) ? { type: 7, ip: host } : { type: 2, value: host })) },
      ],
    })
    return { cert: made.cert, key: made.private }
  }
}
