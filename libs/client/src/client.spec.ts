// The client against a small real server: tokens, refusals, receipts that wait, streams that break.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { StepcastClient, StepcastProblem, StepcastUnreachable, type FeedItem, type FollowOptions } from './index'

interface Asked {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}
type Answer = (response: ServerResponse, asked: Asked) => void

let server: Server
let url: string
let asked: Asked[]
/** The answers to come, one a call; the last one stays. */
let answers: Answer[]

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request
      .on('data', (data) => (body += data))
      .on('end', () => {
        const call = { method: request.method!, path: request.url!, headers: request.headers, body }
        asked.push(call)
        const answer = answers.length > 1 ? answers.shift()! : answers[0]!
        answer(response, call)
      })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  asked = []
  answers = [taken]
})

const taken: Answer = (response) => response.writeHead(204).end()
const json =
  (value: unknown): Answer =>
  (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
const refusal =
  (status: number, more: object = {}, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify({ title: 'No', status, detail: `refused with ${status}`, ...more }))
const cut: Answer = (response) => response.destroy()

const clientWith = (token: string | (() => Promise<string>) = 'token-1'): StepcastClient => new StepcastClient({ url, token })
const item = (messageId: string, more: Partial<FeedItem> = {}): FeedItem => ({
  messageId,
  templateId: 't',
  category: 'Alerts',
  content: { title: 'T', body: 'B', imageUrl: null, buttons: [] },
  createdAt: '2026-01-01T00:00:00.000Z',
  expiresAt: null,
  deliveredAt: null,
  viewedAt: null,
  clickedAt: null,
  ...more,
})

describe('a call', () => {
  it('carries the token and asks what was asked', async () => {
    answers = [json({ items: [], nextCursor: null })]
    await clientWith().feed.list({ readState: 'unread', category: ['Alerts', 'Polls'], cursor: 'abc', limit: 7 })
    expect(asked[0]).toMatchObject({
      method: 'GET',
      path: '/v1/feed?readState=unread&category=Alerts%2CPolls&cursor=abc&limit=7',
      headers: { authorization: 'Bearer token-1' },
    })
    await new StepcastClient({ url, token: 'sk_1', onBehalfOf: 'ada' }).feed.list()
    expect(asked[1]).toMatchObject({ path: '/v1/feed', headers: { authorization: 'Bearer sk_1', 'on-behalf-of': 'ada' } })
  })

  it('acts for a user of any name, as UTF-8', async () => {
    answers = [json({ items: [], nextCursor: null })]
    await new StepcastClient({ url, token: 'sk_1', onBehalfOf: '사용자-é' }).feed.list()
    expect(Buffer.from(String(asked[0]!.headers['on-behalf-of']), 'latin1').toString()).toBe('사용자-é')
  })

  it('refused is a problem with its fields; not answered, an error of another kind', async () => {
    answers = [refusal(422, { errors: [{ path: '/limit', message: 'at most 100' }] }), cut]
    const refused = await clientWith()
      .feed.list({ limit: 101 })
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StepcastProblem)
    expect(refused).toMatchObject({
      status: 422,
      title: 'No',
      message: 'refused with 422',
      errors: [{ path: '/limit', message: 'at most 100' }],
    })
    await expect(clientWith().feed.unreadCount()).rejects.toBeInstanceOf(StepcastUnreachable)
  })

  it('with a token no longer taken asks for a new one, once for all calls under way', async () => {
    let tokens = 0
    const client = clientWith(async () => `token-${++tokens}`)
    answers = [(response, call) => (call.headers.authorization === 'Bearer token-2' ? json({ unread: 3 }) : refusal(401))(response, call)]
    expect(await Promise.all([client.feed.unreadCount(), client.feed.unreadCount(), client.feed.unreadCount()])).toEqual([3, 3, 3])
    expect(await client.feed.unreadCount()).toBe(3)
    expect(tokens).toBe(2)
  })

  it('is refused when the new token is not taken either, or there is only one', async () => {
    answers = [refusal(401)]
    await expect(clientWith(async () => 'bad').feed.unreadCount()).rejects.toMatchObject({ status: 401 })
    expect(asked).toHaveLength(2)
    await expect(clientWith().feed.unreadCount()).rejects.toMatchObject({ status: 401 })
    expect(asked).toHaveLength(3)
  })

  it('tries again to get a token that could not be had', async () => {
    let tries = 0
    const client = clientWith(async () => {
      if (++tries === 1) throw new Error('no token today')
      return 'token'
    })
    answers = [json({ unread: 0 })]
    await expect(client.feed.unreadCount()).rejects.toThrow('no token today')
    expect(await client.feed.unreadCount()).toBe(0)
  })
})

describe('a receipt', () => {
  it('goes to its channel with its button', async () => {
    const client = clientWith()
    await client.feed.delivered('m/1')
    await client.feed.clicked('m/1', 'track')
    await client.push.clicked('m/1')
    expect(asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/v1/feed/m%2F1/delivered', ''],
      ['POST', '/v1/feed/m%2F1/clicked', '{"buttonId":"track"}'],
      ['POST', '/v1/push/m%2F1/clicked', ''],
    ])
  })

  it('is tried again while Stepcast is away or out of reach', async () => {
    answers = [refusal(503), cut, refusal(429), taken]
    await clientWith().feed.viewed('m')
    expect(asked).toHaveLength(4)
  }, 20_000)

  it('is sent once however often it is told', async () => {
    const client = clientWith()
    await Promise.all([client.feed.viewed('m'), client.feed.viewed('m')])
    await client.feed.viewed('m')
    expect(asked).toHaveLength(1)
  })

  it('that is refused is not tried again by itself, but may be told again', async () => {
    answers = [refusal(404), taken]
    const client = clientWith()
    await expect(client.feed.viewed('m')).rejects.toMatchObject({ status: 404 })
    await client.feed.viewed('m')
    expect(asked).toHaveLength(2)
  })
})

describe('following', () => {
  const stream =
    (...pieces: string[]): Answer =>
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const piece of pieces) response.write(piece)
    }
  const ending =
    (...pieces: string[]): Answer =>
    (response, call) => {
      stream(...pieces)(response, call)
      response.end()
    }
  const event = (name: string, data: object, id?: number): string =>
    `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

  /** Follows until `enough` of what happened is there. */
  async function follow(enough: number, options: Partial<FollowOptions> = {}, client = clientWith()): Promise<unknown[]> {
    const happened: unknown[] = []
    await new Promise<void>((done) => {
      const note = (...what: unknown[]): void => {
        happened.push(what.length === 1 ? what[0] : what)
        if (happened.length === enough) done()
      }
      const stop = client.feed.follow({
        onItem: ({ messageId, viewedAt }, id) => note('item', messageId, viewedAt, id),
        onHidden: (messageId) => note('hidden', messageId),
        onUnread: (unread) => note('unread', unread),
        ...options,
      })
      stops.push(stop)
    })
    return happened
  }
  let stops: (() => void)[] = []
  afterEach(() => {
    for (const stop of stops) stop()
    stops = []
  })

  it('tells items, hidings and unread counts', async () => {
    const [came, left] = [event('item', item('a'), 6), event('hidden', { messageId: 'a' }, 7)]
    answers = [stream('id: 5\n: open\n\n', came, event('unread', { unread: 1 }), left)]
    expect(await follow(3)).toEqual([
      ['item', 'a', null, '6'],
      ['unread', 1],
      ['hidden', 'a'],
    ])
    expect(asked[0]).toMatchObject({ path: '/v1/feed/stream?unread=true', headers: { accept: 'text/event-stream' } })
  })

  it('goes on after the last event of the stream before, also when that had none', async () => {
    answers = [ending('id: 5\n: open\n\n'), cut, ending(event('item', item('a'), 6)), stream(event('item', item('b'), 7))]
    const errors: unknown[] = []
    const told = await follow(2, { lastEventId: '1', onError: (error) => errors.push(error) })
    expect(told).toEqual([
      ['item', 'a', null, '6'],
      ['item', 'b', null, '7'],
    ])
    expect(asked.map(({ headers }) => headers['last-event-id'])).toEqual(['1', '5', '5', '6'])
    expect(errors).toEqual([expect.any(StepcastUnreachable)])
  }, 20_000)

  it('does not tell twice what is the same, but every change', async () => {
    const seen = item('a', { viewedAt: '2026-01-01T00:00:01.000Z' })
    const hidden = event('hidden', { messageId: 'a' }, 8)
    answers = [
      ending(event('item', item('a'), 6), event('item', item('a'), 6)),
      stream(event('item', item('a'), 6), event('item', seen, 7), hidden, hidden, event('item', item('b'), 9)),
    ]
    expect(await follow(4)).toEqual([
      ['item', 'a', null, '6'],
      ['item', 'a', seen.viewedAt, '7'],
      ['hidden', 'a'],
      ['item', 'b', null, '9'],
    ])
  }, 20_000)

  it('told to begin anew tells the newest items, or asks who follows to read the feed', async () => {
    const reset = stream(event('reset', {}, 9))
    answers = [reset, json({ items: [item('new'), item('old')], nextCursor: null })]
    expect(await follow(2)).toEqual([
      ['item', 'old', null, '9'],
      ['item', 'new', null, '9'],
    ])
    answers = [reset]
    await new Promise<void>((done) => stops.push(clientWith().feed.follow({ onItem: () => {}, onHidden: () => {}, onReset: done })))
  })

  it('ends when the token is refused, and says so', async () => {
    answers = [refusal(401)]
    const [error, retry] = await new Promise<unknown[]>((done) => {
      stops.push(clientWith().feed.follow({ onItem: () => {}, onHidden: () => {}, onError: (...failed) => done(failed) }))
    })
    expect([error, retry]).toEqual([expect.objectContaining({ status: 401 }), null])
    await new Promise((done) => setTimeout(done, 700))
    expect(asked).toHaveLength(1)
  })

  it('is not stopped by a callback that throws', async () => {
    answers = [stream(event('item', item('a'), 6), event('hidden', { messageId: 'b' }, 7))]
    const errors: unknown[] = []
    const onItem = (): void => {
      throw new Error('page is broken')
    }
    expect(await follow(1, { onItem, onError: (error) => errors.push(error) })).toEqual([['hidden', 'b']])
    expect(errors).toEqual([new Error('page is broken')])
  })

  it('told to stop tells nothing more', async () => {
    let open: ServerResponse
    answers = [
      (response) => {
        open = response.writeHead(200, { 'content-type': 'text/event-stream' })
        open.write(event('item', item('a'), 6))
      },
    ]
    const told: string[] = []
    const left = new Promise<void>((done) => {
      const stop = clientWith().feed.follow({
        onItem: ({ messageId }) => {
          told.push(messageId)
          stop()
          open.once('close', done)
          open.write(event('item', item('b'), 7))
        },
        onHidden: () => {},
      })
    })
    await left
    expect(told).toEqual(['a'])
    expect(asked).toHaveLength(1)
  })
})

it('watching an element needs a browser, and says so', () => {
  expect(() => clientWith().feed.observeViewed({}, 'm')).toThrow('needs a browser')
})
