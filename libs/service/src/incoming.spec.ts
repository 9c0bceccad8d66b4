// A body comes in time and in bounds, or not at all.
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Request } from 'express'
import { bodyOf, HeldBytes, keptBytes, type Body } from './incoming'
import { Problem } from './problem'

const times = { silentMs: 150, megabyteWithinMs: 600 }
const most = 4 * keptBytes

let server: Server
let told: (what: string) => void
/** How fast a streamed body is taken, milliseconds between pieces. */
let pauseMs = 0

beforeAll(async () => {
  server = createServer((request, response) => {
    bodyOf(request as Request, { most, ...times })
      .then(inWords)
      .then((words) => (told(words), response.end()))
      .catch((error: Error) => {
        told(error instanceof Problem ? String(error.status) : error.constructor.name)
        response.destroy()
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => (pauseMs = 0))

async function inWords(body: Body): Promise<string> {
  if (body.kind === 'none') return 'none'
  if (body.kind === 'whole') return `whole ${body.bytes.length}`
  let bytes = 0
  for await (const chunk of body.pieces) {
    bytes += chunk.length
    await sleep(pauseMs)
  }
  return `streamed ${bytes}`
}

/** Sends a request by hand; answers what became of its body, and after how many milliseconds. */
async function send(headers: readonly string[], write: (socket: Socket) => Promise<void> | void): Promise<{ what: string; ms: number }> {
  const heard = new Promise<string>((resolve) => (told = resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  const begun = performance.now()
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`)
  void write(socket)
  const what = await heard
  socket.destroy()
  return { what, ms: performance.now() - begun }
}

const nothing = (): void => {}
const sizeOf = (bytes: number): string => `Content-Length: ${bytes}`

it('a small body is here in whole, whatever it says of its length; a larger one streams', async () => {
  expect((await send([], nothing)).what).toBe('none')
  expect((await send([sizeOf(0)], nothing)).what).toBe('none')
  expect((await send([sizeOf(5)], (socket) => void socket.write('abcde'))).what).toBe('whole 5')
  expect((await send(['Transfer-Encoding: chunked'], (socket) => void socket.write('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'))).what).toBe(
    'whole 5',
  )
  const large = Buffer.alloc(2 * keptBytes, 'x')
  expect((await send([sizeOf(large.length)], (socket) => void socket.write(large))).what).toBe(`streamed ${large.length}`)
  const chunked = (socket: Socket): void => {
    socket.write(`${large.length.toString(16)}\r\n`)
    socket.write(large)
    socket.write('\r\n0\r\n\r\n')
  }
  expect((await send(['Transfer-Encoding: chunked'], chunked)).what).toBe(`streamed ${large.length}`)
})

it('what is larger than allowed is refused, announced or not, and so is what is compressed', async () => {
  expect((await send([sizeOf(most + 1)], nothing)).what).toBe('413')
  const endless = (socket: Socket): void => {
    const piece = Buffer.alloc(keptBytes)
    for (let n = 0; n < 6; n++) {
      socket.write(`${piece.length.toString(16)}\r\n`)
      socket.write(piece)
      socket.write('\r\n')
    }
  }
  expect((await send(['Transfer-Encoding: chunked'], endless)).what).toBe('413')
  expect((await send(['Content-Encoding: gzip', sizeOf(5)], (socket) => void socket.write('abcde'))).what).toBe('415')
})

it('a sender who is silent is cut, and so is one who drips', async () => {
  const silent = await send([sizeOf(1_000)], (socket) => void socket.write('{'))
  expect(silent.what).toBe('408')
  expect(silent.ms).toBeLessThan(times.megabyteWithinMs)
  const drip = async (socket: Socket): Promise<void> => {
    for (; !socket.destroyed; await sleep(50)) socket.write(' ')
  }
  const dripping = await send([sizeOf(1_000)], drip)
  expect(dripping.what).toBe('408')
  expect(dripping.ms).toBeGreaterThanOrEqual(times.megabyteWithinMs - 20)
  expect((await send([sizeOf(2 * keptBytes)], (socket) => void socket.write('{'))).what).toBe('408')
})

it('time in which the sender is held back does not count', async () => {
  pauseMs = 2 * times.silentMs
  const large = Buffer.alloc(keptBytes + 200_000, 'x')
  const { what, ms } = await send([sizeOf(large.length)], (socket) => void socket.write(large))
  expect(what).toBe(`streamed ${large.length}`)
  expect(ms).toBeGreaterThan(times.megabyteWithinMs)
}, 60_000)

it('a large body has its time for every megabyte: who drips one is cut as well', async () => {
  const drip = async (socket: Socket): Promise<void> => {
    socket.write(Buffer.alloc(keptBytes + 1, 'x'))
    for (; !socket.destroyed; await sleep(50)) socket.write(' ')
  }
  const { what, ms } = await send([sizeOf(3 * keptBytes)], drip)
  expect(what).toBe('408')
  expect(ms).toBeGreaterThanOrEqual(2 * times.megabyteWithinMs - 100)
})

it('who breaks off is not answered', async () => {
  const gone = await send([sizeOf(1_000)], async (socket) => {
    socket.write('{')
    await sleep(30)
    socket.destroy()
  })
  expect(gone.what).toBe('ClientGone')
})

it('memory for bodies is bounded: whoever finds no room in time is told to come again', async () => {
  const held = new HeldBytes(100, 50)
  held.take(60)
  expect(() => held.take(41)).toThrow('Too much is being sent at once')
  await held.room(40)
  const late = held.room(1)
  await expect(late).rejects.toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  const [first, second] = [held.room(60), held.room(10)]
  held.give(60)
  await first
  // In the order of asking, and what is given back later serves the next.
  await expect(second).rejects.toThrow(Problem)
  held.give(100)
  held.take(100)
})
