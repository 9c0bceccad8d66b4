// HTTP/2 against a real server over TLS: what is taken, what is provably not, and how sessions come and go.
import { constants, createSecureServer, type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { generate } from 'selfsigned'
import type { CallResult } from './call'
import { Http2Transport, transportTo, type TransportOptions } from './http2'
import type { Permit } from './provider'

type Behaviour = (stream: ServerHttp2Stream, body: string) => void

const answer: Behaviour = (stream, body) => {
  stream.respond({ ':status': 200, 'x-length': String(body.length) })
  stream.end(`{"got":${JSON.stringify(body)}}`)
}
const leave = (): Permit => ({ signal: AbortSignal.timeout(3_000), mayBegin: () => true })
const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error('it did not come to that within 4 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('HTTP/2 to a provider', () => {
  let key: string
  let cert: string
  let server: Http2SecureServer
  let origin: string
  let behaviour: Behaviour
  let sessions: ServerHttp2Session[]
  let bodies: string[]
  const transports: Http2Transport[] = []

  const listen = async (settings: { maxConcurrentStreams?: number } = {}): Promise<void> => {
    server = createSecureServer({ key, cert, settings: { maxConcurrentStreams: 100, ...settings } })
    server.on('session', (session) => {
      sessions.push(session)
      session.on('error', () => {})
    })
    server.on('stream', (stream) => {
      let body = ''
      stream.on('error', () => {})
      stream.on('data', (chunk: Buffer) => (body += chunk.toString()))
      stream.on('end', () => {
        bodies.push(body)
        behaviour(stream, body)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `https://localhost:${(server.address() as AddressInfo).port}`
  }
  const transport = (options: Partial<TransportOptions> = {}): Http2Transport => {
    const made = new Http2Transport({ origin, connections: 64, ca: cert, ...options })
    transports.push(made)
    return made
  }
  const post = (to: Http2Transport, body = 'hello', permit: Partial<Permit> = {}): Promise<CallResult> =>
    to.post({ path: '/p', headers: { authorization: 'bearer t' }, body }, { ...leave(), ...permit })
  const alive = (): number => sessions.filter(({ destroyed }) => !destroyed).length

  beforeAll(async () => {
    const made = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    key = made.private
    cert = made.cert
  })
  beforeEach(async () => {
    sessions = []
    bodies = []
    behaviour = answer
    await listen()
  })
  afterEach(async () => {
    await Promise.all(transports.splice(0).map((one) => one.close()))
    for (const session of sessions) session.destroy()
    server.close()
  })

  it('is answered with status, headers and body', async () => {
    expect(await post(transport(), 'hällo')).toMatchObject({
      kind: 'answered',
      status: 200,
      headers: { 'x-length': '5' },
      body: '{"got":"hällo"}',
    })
  })

  it('carries all calls on one session while the peer lets it, and keeps it', async () => {
    const one = transport()
    await Promise.all(Array.from({ length: 60 }, () => post(one)))
    await post(one)
    expect([sessions.length, bodies.length]).toEqual([1, 61])
  })

  it('never has more streams under way than the peer allows, and opens another session when it is full, up to its own limit', async () => {
    server.close()
    await listen({ maxConcurrentStreams: 5 })
    let most = 0
    const open = new Map<object, number>()
    behaviour = (stream) => {
      const session = stream.session!
      open.set(session, (open.get(session) ?? 0) + 1)
      most = Math.max(most, open.get(session)!)
      setTimeout(() => {
        open.set(session, open.get(session)! - 1)
        answer(stream, '')
      }, 20)
    }
    const one = transport({ sessions: 2 })
    const results = await Promise.all(Array.from({ length: 40 }, () => post(one)))
    expect(results.every(({ kind }) => kind === 'answered')).toBe(true)
    expect([sessions.length, most]).toEqual([2, 5])
  })

  it('waits for a limit that is raised after the first answer, as Apple does, instead of opening session after session', async () => {
    server.close()
    await listen({ maxConcurrentStreams: 1 })
    behaviour = (stream, body) => {
      if (bodies.length === 1) stream.session!.settings({ maxConcurrentStreams: 100 })
      setTimeout(() => answer(stream, body), 100)
    }
    const one = transport()
    const results = await Promise.all(Array.from({ length: 30 }, () => post(one)))
    expect(results.every(({ kind }) => kind === 'answered')).toBe(true)
    expect(sessions.length).toBe(1)
  })

  it('goes on elsewhere after GOAWAY: what is under way is answered, nothing is sent twice', async () => {
    const held: ServerHttp2Stream[] = []
    behaviour = (stream) => void held.push(stream)
    const one = transport()
    const underWay = [post(one, 'a'), post(one, 'b')]
    await until(() => held.length === 2)
    sessions[0]!.goaway(constants.NGHTTP2_NO_ERROR)
    await until(() => one.openSessions === 0)
    behaviour = answer
    expect(await post(one, 'c')).toMatchObject({ kind: 'answered' })
    expect(sessions.length).toBe(2)
    for (const stream of held) answer(stream, '')
    expect(await Promise.all(underWay)).toMatchObject([{ kind: 'answered' }, { kind: 'answered' }])
    expect(bodies.sort()).toEqual(['a', 'b', 'c'])
    await until(() => alive() === 1)
  })

  it.each([
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
    ['an error', constants.NGHTTP2_INTERNAL_ERROR],
  ])('sends again what GOAWAY with %s says was not taken, and calls broken what may have been', async (_name, code) => {
    const held: ServerHttp2Stream[] = []
    behaviour = (stream) => void held.push(stream)
    const one = transport()
    const first = post(one, 'taken')
    await until(() => held.length === 1)
    const second = post(one, 'not taken')
    await until(() => held.length === 2)
    behaviour = answer
    sessions[0]!.goaway(code, held[0]!.id!)
    expect(await second).toMatchObject({ kind: 'answered' })
    sessions[0]!.destroy()
    expect(await first).toMatchObject({ kind: 'broken' })
    expect(bodies).toEqual(['taken', 'not taken', 'not taken'])
  })

  it('sends again, once, what was refused (REFUSED_STREAM)', async () => {
    let refusals = 1
    behaviour = (stream, body) => (refusals-- > 0 ? stream.close(constants.NGHTTP2_REFUSED_STREAM) : answer(stream, body))
    expect(await post(transport())).toMatchObject({ kind: 'answered' })
    refusals = 2
    expect(await post(transport())).toEqual({ kind: 'not_begun', reason: 'refused' })
  })

  it('is broken when the stream is reset otherwise, or the connection, and sends nothing again', async () => {
    behaviour = (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    expect(await post(transport())).toMatchObject({ kind: 'broken' })
    behaviour = (stream) => stream.session!.destroy()
    const one = transport()
    expect(await post(one)).toMatchObject({ kind: 'broken' })
    expect(bodies.length).toBe(2)
    behaviour = answer
    expect(await post(one)).toMatchObject({ kind: 'answered' })
  })

  it('is answered when the status came and the rest was lost', async () => {
    behaviour = (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('{"na', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
    }
    expect(await post(transport())).toMatchObject({ kind: 'answered', status: 200 })
  })

  it('gives up at the timeout: unknown, and the peer is told to stop (CANCEL)', async () => {
    let code: number | undefined
    behaviour = (stream) => stream.on('close', () => (code = stream.rstCode))
    const one = transport()
    expect(await post(one, 'x', { signal: AbortSignal.timeout(100) })).toEqual({ kind: 'broken', reason: 'timeout' })
    await until(() => code === constants.NGHTTP2_CANCEL)
    behaviour = answer
    expect(await post(one)).toMatchObject({ kind: 'answered' })
    expect(sessions.length).toBe(1)
  })

  it('writes nothing without leave, without time, or after it was closed', async () => {
    const one = transport()
    expect(await post(one, 'x', { mayBegin: () => false })).toEqual({ kind: 'not_begun', reason: 'lease_too_short' })
    expect(await post(one, 'x', { signal: AbortSignal.abort() })).toEqual({ kind: 'not_begun', reason: 'timeout' })
    await one.close()
    expect(await post(one)).toEqual({ kind: 'not_begun', reason: 'closed' })
    expect(bodies).toEqual([])
  })

  it('asks for leave right before the first byte, not when it queues', async () => {
    server.close()
    await listen({ maxConcurrentStreams: 1 })
    const held: ServerHttp2Stream[] = []
    behaviour = (stream) => void held.push(stream)
    const one = transport({ sessions: 1 })
    const first = post(one, 'first')
    await until(() => held.length === 1)
    let asked = 0
    const second = post(one, 'second', { mayBegin: () => ++asked > 0 })
    const late = post(one, 'late', { signal: AbortSignal.timeout(50) })
    expect(await late).toEqual({ kind: 'not_begun', reason: 'timeout' })
    expect(asked).toBe(0)
    behaviour = answer
    answer(held[0]!, '')
    expect([await first, await second]).toMatchObject([{ kind: 'answered' }, { kind: 'answered' }])
    expect([asked, bodies]).toEqual([1, ['first', 'second']])
  })

  it('was not taken where nobody listens, or by a server that cannot prove who it is', async () => {
    expect(await post(transport({ origin: 'https://127.0.0.1:1' }))).toEqual({ kind: 'not_begun', reason: 'ECONNREFUSED' })
    expect(await post(transport({ ca: undefined }))).toMatchObject({
      kind: 'not_begun',
      reason: expect.stringMatching(/SELF_SIGNED|UNABLE/),
    })
    expect(await post(transport({ origin: origin.replace('localhost', '127.0.0.1') }))).toMatchObject({
      kind: 'not_begun',
      reason: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    expect(bodies).toEqual([])
  })

  it('connects again when the peer has come back', async () => {
    const one = transport()
    await post(one)
    sessions[0]!.destroy()
    await until(() => one.openSessions === 0)
    expect(await post(one)).toMatchObject({ kind: 'answered' })
    expect(sessions.length).toBe(2)
  })

  it('asks a silent peer whether it lives, and keeps it', async () => {
    const one = transport({ pingEveryMs: 50 })
    let pings = 0
    await post(one)
    sessions[0]!.on('ping', () => pings++)
    await until(() => pings > 2)
    expect(one.openSessions).toBe(1)
  })

  it('leaves a connection that has gone silent', async () => {
    const wires: Socket[] = []
    const proxy = createServer((client) => {
      const wire = connect((server.address() as AddressInfo).port, '127.0.0.1')
      wires.push(client, wire)
      for (const end of [client, wire]) end.on('error', () => {})
      client.pipe(wire).pipe(client)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const one = transport({ origin: `https://localhost:${(proxy.address() as AddressInfo).port}`, pingEveryMs: 100 })
    await post(one)
    // No FIN, no RST: as when a firewall forgets.
    for (const wire of wires) wire.unpipe().pause()
    expect(await post(one, 'lost', { signal: AbortSignal.timeout(50) })).toEqual({ kind: 'broken', reason: 'timeout' })
    await until(() => one.openSessions === 0)
    expect(await post(one)).toMatchObject({ kind: 'answered' })
    for (const wire of wires) wire.destroy()
    proxy.close()
  })

  it('closes a session nobody uses, and replaces an old one without losing a call', async () => {
    const idle = transport({ idleMs: 50, pingEveryMs: 20 })
    await post(idle)
    await until(() => idle.openSessions === 0)
    await until(() => alive() === 0)
    expect(await post(idle)).toMatchObject({ kind: 'answered' })

    behaviour = (stream, body) => void setTimeout(() => answer(stream, body), 30)
    const old = transport({ maxAgeMs: 50, pingEveryMs: 20 })
    const before = sessions.length
    for (let i = 0; i < 10; i++) expect(await post(old)).toMatchObject({ kind: 'answered' })
    expect(sessions.length - before).toBeGreaterThan(1)
  })

  it('speaks HTTP/1.1 to a plain address', async () => {
    const plain = transportTo({ origin: 'http://127.0.0.1:1', connections: 1 })
    expect(await plain.post({ path: '/', headers: {}, body: '' }, leave())).toMatchObject({ kind: 'not_begun' })
    await plain.close()
  })
})
