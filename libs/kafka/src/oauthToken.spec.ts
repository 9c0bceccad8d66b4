// Access tokens: one is kept, replaced in time, and a server that is away is no matter while it lives.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OAuthTokens, type OAuthClient } from './oauthToken'

interface Asked {
  readonly authorization: string
  readonly form: Record<string, string>
}

const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`

describe('access tokens', () => {
  let server: Server
  let asked: Asked[]
  let answer: () => { status: number; body: string; location?: string }
  let n: number
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += String(chunk)))
      request.on('end', () => {
        asked.push({ authorization: String(request.headers.authorization), form: Object.fromEntries(new URLSearchParams(body)) })
        const { status, body: said, location } = answer()
        response.writeHead(status, { 'content-type': 'application/json', ...(location && { location }) }).end(said)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    asked = []
    n = 0
    answer = () => ({ status: 200, body: JSON.stringify({ access_token: `token-${++n}`, expires_in: 100 }) })
    jest.useFakeTimers({
      doNotFake: [
        'setTimeout',
        'setInterval',
        'setImmediate',
        'nextTick',
        'queueMicrotask',
        'performance',
        'clearTimeout',
        'clearInterval',
        'clearImmediate',
      ],
    })
  })
  afterEach(() => void jest.useRealTimers())

  const endpoint = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const tokens = (more: Partial<OAuthClient> = {}): OAuthTokens =>
    new OAuthTokens({ tokenEndpoint: endpoint(), clientId: 'stepcast', clientSecret: 'a b:ü', scope: null, ...more })
  const later = (seconds: number): void => jest.setSystemTime(Date.now() + seconds * 1_000)

  it('is asked for with our id and secret, as in a form, and with the scope', async () => {
    expect(await tokens({ scope: 'kafka.read kafka.write' }).token()).toBe('token-1')
    expect(asked).toEqual([
      {
        authorization: `Basic ${Buffer.from('stepcast:a+b%3A%C3%BC').toString('base64')}`,
        form: { grant_type: 'client_credentials', scope: 'kafka.read kafka.write' },
      },
    ])
    await tokens().token()
    expect(asked[1]!.form).toEqual({ grant_type: 'client_credentials' })
  })

  it('is asked for once, however many ask at a time, and again before it expires', async () => {
    const { token } = tokens()
    expect(await Promise.all([token(), token(), token()])).toEqual(['token-1', 'token-1', 'token-1'])
    later(79)
    expect(await token()).toBe('token-1')
    later(2)
    expect(await token()).toBe('token-2')
    expect(asked).toHaveLength(2)
  })

  it('of a short life is replaced before the Kafka client signs in again, 10 s before the end', async () => {
    answer = () => ({ status: 200, body: JSON.stringify({ access_token: `token-${++n}`, expires_in: '20' }) })
    const { token } = tokens()
    expect(await token()).toBe('token-1')
    later(8.9)
    expect(await token()).toBe('token-1')
    later(0.2)
    expect(await token()).toBe('token-2')
  })

  it.each([
    ['its own exp', () => jwt({ exp: Math.floor(Date.now() / 1_000) + 50 }), 38, 42],
    ['five minutes where nobody says', () => 'opaque', 235, 245],
    ['five minutes where exp is no number', () => jwt({ exp: 'tomorrow' }), 235, 245],
  ])('without expires_in lives for %s', async (_, made, before, after) => {
    answer = () => (n++, { status: 200, body: JSON.stringify({ access_token: made() }) })
    const { token } = tokens()
    await token()
    later(before)
    await token()
    expect(n).toBe(1)
    later(after - before)
    await token()
    expect(n).toBe(2)
  })

  it('goes on to be used while the server is away, which is asked again every 5 s; no longer than it lives', async () => {
    const { token } = tokens()
    await token()
    answer = () => ({ status: 503, body: 'busy' })
    later(81)
    expect(await token()).toBe('token-1')
    expect(await token()).toBe('token-1')
    expect(asked).toHaveLength(2)
    later(6)
    expect(await token()).toBe('token-1')
    expect(asked).toHaveLength(3)
    later(14)
    await expect(token()).rejects.toMatchObject({ message: expect.stringContaining('answered 503'), retriable: true })
    answer = () => ({ status: 200, body: JSON.stringify({ access_token: 'again', expires_in: 100 }) })
    expect(await token()).toBe('again')
  })

  it.each<[string, () => { status: number; body: string }, string, boolean]>([
    [
      'wrong secret',
      () => ({ status: 401, body: '{"error":"invalid_client","error_description":"Bad credentials"}' }),
      'answered 401 invalid_client (Bad credentials). Are KAFKA_SASL_OAUTHBEARER_CLIENT_ID',
      false,
    ],
    ['wrong scope', () => ({ status: 400, body: '{"error":"invalid_scope"}' }), 'answered 400 invalid_scope. Are', false],
    ['not the endpoint', () => ({ status: 404, body: '<html>' }), 'answered 404. Are', false],
    ['too often', () => ({ status: 429, body: '' }), 'answered 429', true],
    ['a server error', () => ({ status: 500, body: 'x' }), 'answered 500', true],
    ['a page', () => ({ status: 200, body: '<html>' }), 'without an access_token', false],
    ['null', () => ({ status: 200, body: 'null' }), 'without an access_token', false],
    [
      'a token that is none',
      () => ({ status: 200, body: JSON.stringify({ access_token: 'a\u0001auth=x' }) }),
      'without an access_token',
      false,
    ],
  ])('%s: the sentence names the variable', async (_, said, sentence, retriable) => {
    answer = said
    const failure = tokens().token()
    await expect(failure).rejects.toMatchObject({ message: expect.stringContaining(sentence), retriable })
    await expect(failure).rejects.toThrow('KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT http://127.0.0.1')
  })

  it('never follows a redirect with our secret, and says who is out of reach', async () => {
    answer = () => ({ status: 307, body: '', location: `${endpoint()}/elsewhere` })
    await expect(tokens().token()).rejects.toMatchObject({ retriable: true })
    expect(asked).toHaveLength(1)
    await expect(tokens({ tokenEndpoint: 'http://127.0.0.1:1/token' }).token()).rejects.toThrow('http://127.0.0.1:1/token is out of reach')
  })
})
