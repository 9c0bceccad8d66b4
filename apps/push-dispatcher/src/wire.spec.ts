// What reaches a provider's server in the end: headers and bodies as they arrive over TLS, on both ways.
import { generateKeyPairSync } from 'node:crypto'
import { createSecureServer, type Http2SecureServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'
import type { Permit, ProviderMessage } from '@stepcast/channel'
import { ApnsKind } from './apns'
import { FcmKind } from './fcm'

interface Arrived {
  readonly headers: IncomingHttpHeaders
  readonly body: any
}

describe('a push as it arrives', () => {
  const arrived: Arrived[] = []
  let server: Http2SecureServer
  let endpoint: string
  let ca: string
  const message: ProviderMessage<'push'> = {
    workspaceId: 'demo',
    messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push',
    userId: 'person-1',
    target: 'phone',
    address: 'token-1',
    timeToLiveMs: 90_500,
    content: { title: '발송', body: 'Order 1', url: null, data: {} },
  }
  const permit: Permit = { signal: new AbortController().signal, mayBegin: () => true }
  const pem = (kind: 'rsa' | 'ec'): string =>
    (kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' })).privateKey
      .export({ type: 'pkcs8', format: 'pem' })
      .toString()

  beforeAll(async () => {
    const made = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    ca = made.cert
    server = createSecureServer({ key: made.private, cert: made.cert, allowHTTP1: true }, (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const isGrant = request.url === '/token'
        if (!isGrant) arrived.push({ headers: request.headers as IncomingHttpHeaders, body: JSON.parse(body) })
        response.end(JSON.stringify(isGrant ? { access_token: 'granted', expires_in: 3_600 } : {}))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    endpoint = `https://localhost:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())
  beforeEach(() => arrived.splice(0))

  it('at APNs: alert, topic, collapse id, end of the window, whose message', async () => {
    const kind = new ApnsKind({ endpoint, connections: 1, ca })
    const key = { teamId: 'TEAM123456', keyId: 'KEY1234567', privateKey: pem('ec') }
    const account = { ...key, topic: 'com.example.shop', environment: 'production' } as const
    expect(await kind.open(account, { minuteMs: 60_000 }).send(message, permit)).toMatchObject({ kind: 'accepted' })
    const [{ headers, body }] = arrived as [Arrived]
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':path': '/3/device/token-1',
      authorization: expect.stringMatching(/^bearer [\w-]+\.[\w-]+\.[\w-]+$/),
      'apns-topic': 'com.example.shop',
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-collapse-id': message.messageId,
    })
    const leftS = Number(headers['apns-expiration']) - Date.now() / 1_000
    expect(leftS).toBeLessThanOrEqual(90.5)
    expect(leftS).toBeGreaterThan(85)
    expect(body).toEqual({
      aps: { alert: { title: '발송', body: 'Order 1' }, 'mutable-content': 1 },
      stepcast_message_id: message.messageId,
      stepcast_workspace_id: 'demo',
      stepcast_user_id: 'person-1',
    })
    await kind.close()
  })

  it('at FCM: over HTTP/2, with the access token, collapse keys and the time left', async () => {
    const kind = new FcmKind({ endpoint, tokenEndpoint: `${endpoint}/token`, connections: 1, ca })
    const serviceAccount = { project_id: 'shop-project', client_email: 'a@b', private_key: pem('rsa') }
    expect(await kind.open({ serviceAccount }, { minuteMs: 60_000 }).send(message, permit)).toMatchObject({ kind: 'accepted' })
    const [{ headers, body }] = arrived as [Arrived]
    expect(headers).toMatchObject({ ':path': '/v1/projects/shop-project/messages:send', authorization: 'Bearer granted' })
    expect(body.message).toMatchObject({
      token: 'token-1',
      notification: { title: '발송', body: 'Order 1' },
      data: { stepcast_message_id: message.messageId },
      android: { collapse_key: message.messageId, ttl: '90s', notification: { tag: message.messageId } },
      apns: { headers: { 'apns-collapse-id': message.messageId } },
      webpush: { headers: { TTL: '90' } },
    })
    await kind.close()
  })
})
