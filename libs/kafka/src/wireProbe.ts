// What listens at a broker's address: nothing, TLS, Kafka, Kafka that wants a sign-in. A few bytes of the protocol tell it, where the client
// would only say that the connection was closed.
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

/** How an address answered. */
export type ListenerAnswer =
  | { readonly kind: 'unreachable'; readonly code: string }
  /** Asked by TLS, it does not speak it. */
  | { readonly kind: 'not tls' }
  /** Asked without, it speaks it. */
  | { readonly kind: 'tls' }
  /** The handshake failed: an authority that is not trusted, another name, a client's certificate that is missing. */
  | { readonly kind: 'handshake'; readonly reason: string }
  | { readonly kind: 'not kafka' }
  /** `mechanisms`: those of the sign-in that it wants, by their names in the protocol; null: none is wanted. */
  | { readonly kind: 'kafka'; readonly mechanisms: readonly string[] | null }

const apiSaslHandshake = 17
const apiVersions = 18
const illegalSaslState = 34
// Of a look: a socket opens at once or not at all, a busy broker takes its seconds to answer. Together they stay within a pre-flight's 15 s.
const openMs = 3_500
const answerMs = 6_000

/**
 * Asks one address.
 *
 * @param ssl as the Kafka client takes it
 * @param mechanism the sign-in that will be used; any that does not exist where there is none
 */
export async function askListener(
  host: string,
  port: number,
  ssl: boolean | ConnectionOptions,
  mechanism: string | null,
): Promise<ListenerAnswer> {
  const plain = await open(() => connectTcp({ host, port }), 'connect')
  if (typeof plain === 'string') return { kind: 'unreachable', code: plain }
  if (ssl === false) {
    try {
      const answer = await talk(plain, mechanism)
      if (answer !== null) return answer
    } finally {
      plain.destroy()
    }
    // Silence: what is asked in the wrong protocol hangs up. Whoever greets by TLS is answered then.
    const greeted = await secure(host, port, { rejectUnauthorized: false })
    if (typeof greeted !== 'string') greeted.destroy()
    return typeof greeted !== 'string' || isHandshake(greeted) ? { kind: 'tls' } : { kind: 'not kafka' }
  }
  plain.destroy()
  const socket = await secure(host, port, ssl === true ? {} : ssl)
  if (typeof socket === 'string') return isHandshake(socket) ? { kind: 'handshake', reason: socket } : { kind: 'not tls' }
  try {
    // A server that wants our certificate (TLS 1.3) hangs up only now.
    return (
      (await talk(socket, mechanism)) ?? {
        kind: 'handshake',
        reason: 'the connection was closed after the handshake: is a client certificate wanted?',
      }
    )
  } finally {
    socket.destroy()
  }
}

const secure = (host: string, port: number, options: ConnectionOptions): Promise<Socket | string> =>
  open(() => connectTls({ host, port, ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }), ...options }), 'secureConnect')

/** What only a peer that speaks TLS makes of a handshake. */
const isHandshake = (reason: string): boolean =>
  /CERT|SELF_SIGNED|ISSUER|VERIFY|ALTNAME|ALERT|HANDSHAKE_FAILURE|PROTOCOL_VERSION/i.test(reason) &&
  !/WRONG_VERSION_NUMBER|PACKET_LENGTH/i.test(reason)

/** The open socket, or the code of what went wrong. */
function open(make: () => Socket, event: 'connect' | 'secureConnect'): Promise<Socket | string> {
  return new Promise((resolve) => {
    let socket: Socket
    try {
      socket = make()
    } catch (error) {
      return resolve((error as { code?: string }).code ?? (error as Error).message)
    }
    const timer = setTimeout(() => fail('ETIMEDOUT'), openMs)
    const fail = (code: string): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(code)
    }
    socket.on('error', (error: Error & { code?: string }) => fail(error.code ?? error.message))
    socket.once('close', () => fail('ECONNRESET'))
    socket.once(event, () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/** Greets as a Kafka client and asks for the sign-in; null where the other side hangs up or says what Kafka does not. */
async function talk(socket: Socket, mechanism: string | null): Promise<ListenerAnswer | null> {
  const greeting = await ask(socket, request(apiVersions, 0))
  if (greeting === null || greeting.length < 6) return null
  const answer = await ask(socket, request(apiSaslHandshake, 1, text(mechanism ?? 'NONE')))
  if (answer === null || answer.length < 6) return { kind: 'not kafka' }
  return { kind: 'kafka', mechanisms: answer.readInt16BE(0) === illegalSaslState ? null : texts(answer.subarray(2)) }
}

/** The answer without its size and number; null when none came in time. */
function ask(socket: Socket, content: Buffer): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0)
    const finish = (answer: Buffer | null): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      resolve(answer)
    }
    const onClose = (): void => finish(null)
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk])
      if (received.length < 8) return
      const size = received.readInt32BE(0)
      // An alert of TLS, or a greeting of something else, is no size of an answer to us.
      if (size < 4 || size > 1_000_000) return finish(null)
      if (received.length >= 4 + size) finish(received.subarray(8, 4 + size))
    }
    const timer = setTimeout(() => finish(null), answerMs)
    socket.on('data', onData).once('close', onClose)
    socket.write(content)
  })
}

function request(api: number, version: number, ...fields: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12)
  head.writeInt16BE(api, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(1, 8)
  const whole = Buffer.concat([head, text('stepcast-pre-flight'), ...fields])
  whole.writeInt32BE(whole.length - 4, 0)
  return whole
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const size = Buffer.alloc(2)
  size.writeInt16BE(bytes.length)
  return Buffer.concat([size, bytes])
}

/** An array of texts. */
function texts(bytes: Buffer): string[] {
  const found: string[] = []
  let at = 4
  for (let left = bytes.readInt32BE(0); left > 0 && at + 2 <= bytes.length; left--) {
    const size = bytes.readInt16BE(at)
    found.push(bytes.toString('utf8', at + 2, at + 2 + size))
    at += 2 + size
  }
  return found
}
