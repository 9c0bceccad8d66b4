// A connection pool in transaction mode, as PgBouncer is: every client shares one session of the server, a statement at a time.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A running pool. */
export interface Pooler {
  /** Of the database behind it. */
  readonly url: string
  stop(): Promise<void>
}

/** What becomes of `options` in a client's greeting. PgBouncer refuses them, drops them (ignore_startup_parameters), or passes them on. */
export type WithOptions = 'refuse' | 'drop' | 'pass'

interface Client {
  readonly socket: Socket
  greeted: boolean
}

const message = (type: string, ...fields: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(fields)
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const authenticated = message('R', int(0))
const keyMadeUp = message('K', int(4_711), int(42))
const ready = message('Z', Buffer.from('I'))

/** The first client signs in to the server through the pool; those after it are let in by the pool itself. */
export async function startTransactionPooler(databaseUrl: string, options: WithOptions): Promise<Pooler> {
  const target = new URL(databaseUrl)
  const clients = new Set<Socket>()
  let server: Socket | null = null
  let isSignedIn = false
  let inTurn: Client | null = null
  let received: Buffer = Buffer.alloc(0)
  /** A client whose options are being set on the shared session. */
  let welcomed: Socket | null = null

  const fromServer = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 5 && received.length >= 1 + received.readInt32BE(1)) {
      const size = 1 + received.readInt32BE(1)
      const type = String.fromCharCode(received[0]!)
      const whole = received.subarray(0, size)
      received = received.subarray(size)
      if (type === 'Z') isSignedIn = true
      if (welcomed === null) inTurn?.socket.write(type === 'K' ? keyMadeUp : whole)
      else if (type === 'Z') {
        welcomed.write(Buffer.concat([authenticated, keyMadeUp, ready]))
        welcomed = null
      }
    }
  }
  const fromClient = (client: Client, chunk: Buffer): void => {
    inTurn = client
    if (client.greeted) {
      // A client that leaves leaves the pool, not the server.
      if (chunk[0] !== 'X'.charCodeAt(0)) server!.write(chunk)
      return
    }
    client.greeted = true
    const greeting = chunk.toString('latin1')
    if (options === 'refuse' && greeting.includes('\0options\0')) {
      const text = 'unsupported startup parameter: options'
      client.socket.end(message('E', Buffer.from(`SFATAL\0C08P01\0M${text}\0\0`)))
    } else if (isSignedIn && options === 'pass' && greeting.includes('search_path=')) {
      welcomed = client.socket
      server!.write(message('Q', Buffer.from(`SET search_path = ${/search_path=(\w+)/.exec(greeting)![1]}\0`)))
    } else if (isSignedIn) client.socket.write(Buffer.concat([authenticated, keyMadeUp, ready]))
    else {
      server = connect(Number(target.port), target.hostname)
        .on('data', fromServer)
        .on('error', () => {})
      const kept = options === 'drop' ? greeting.slice(8).replace(/options\0[^\0]*\0/, '') : greeting.slice(8)
      server.write(Buffer.concat([int(kept.length + 8), chunk.subarray(4, 8), Buffer.from(kept, 'latin1')]))
    }
  }

  const listener = createServer((socket) => {
    clients.add(socket)
    const client: Client = { socket, greeted: false }
    socket
      .on('data', (chunk) => fromClient(client, chunk))
      .on('error', () => {})
      .on('close', () => clients.delete(socket))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.toString(),
    stop: async () => {
      for (const socket of clients) socket.destroy()
      server?.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
