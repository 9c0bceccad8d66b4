// What strangers get of a sandbox that more than this machine can reach: no token, and nobody called for them.
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mayBeCalledBack } from './productUrl'
import { sandboxStage, until, type SandboxStage } from './testing'

// fetch does not let a caller choose the Host.
const statusOf = (url: string, headers: Record<string, string>): Promise<number> =>
  new Promise((resolve, reject) => {
    request(url, { headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode!)
    })
      .on('error', reject)
      .end()
  })

describe("a sandbox behind a name that is not this machine's", () => {
  const publicUrl = 'https://stepcast.example'
  const account = `AC${'1'.repeat(32)}`
  let stage: SandboxStage
  let stranger: Server
  let strangerUrl: string
  let called = 0
  beforeAll(async () => {
    stage = await sandboxStage({ STEPCAST_PUBLIC_URL: publicUrl, HOST: '0.0.0.0', SANDBOX_SECRET: 'known to few' })
    await stage.call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', signingKid: 'demo.1', signingSecret: 's'.repeat(43) })
    stranger = createServer((_, response) => {
      called++
      response.end()
    })
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    strangerUrl = `http://stranger.localtest.example:${(stranger.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    await stage.stop()
    stranger.close()
  })

  const send = async (StatusCallback: string) =>
    stage.call(
      'POST',
      `/2010-04-01/Accounts/${account}/Messages.json`,
      new URLSearchParams({ To: '+821012345678', From: '+15005550006', Body: 'Hi', ...(StatusCallback && { StatusCallback }) }),
      { authorization: `Basic ${Buffer.from(`${account}:token`).toString('base64')}` },
    )

  it.each<[Record<string, string>, number]>([
    [{ host: 'localhost:8091' }, 200],
    [{ host: '127.0.0.1' }, 200],
    [{ host: '[::1]:8091' }, 200],
    [{ host: 'LOCALHOST' }, 200],
    [{ host: 'sandbox.example' }, 403],
    [{ host: '10.0.0.7:8091' }, 403],
    [{ host: 'localhost.evil.example' }, 403],
    [{ host: 'provider-sandbox:8080' }, 403],
    [{ host: 'evil.example', 'x-forwarded-host': 'localhost' }, 403],
    [{ host: 'evil.example', authorization: 'Bearer wrong' }, 403],
    [{ host: 'evil.example', authorization: 'Bearer ' }, 403],
    [{ host: 'sandbox.example', authorization: 'Bearer known to few' }, 200],
  ])("a person's token under %j: %d", async (headers, status) => {
    expect(await statusOf(`http://127.0.0.1:${stage.sandbox.port}/people/demo/ada/token`, headers)).toBe(status)
  })

  it('without SANDBOX_SECRET no header opens it', async () => {
    const closed = await sandboxStage({ HOST: '0.0.0.0' })
    for (const authorization of ['Bearer undefined', 'Bearer ', 'Bearer null']) {
      expect(await statusOf(`http://127.0.0.1:${closed.sandbox.port}/people/demo/ada/token`, { host: 'x.example', authorization })).toBe(
        403,
      )
    }
    await closed.stop()
  })

  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://10.0.0.7/v1/callbacks/twilio/demo',
    'https://stepcast.example.evil.example/x',
    'http://stepcast.example/x',
    'https://stepcast.example:444/x',
    'https://evil.example/?u=https://stepcast.example',
    'https://stepcast.example@evil.example/',
    'ftp://stepcast.example/x',
    'no address',
  ])('a status callback to %s is refused as Twilio refuses an address that is none', async (address) => {
    expect(await send(address)).toMatchObject({ status: 400, body: { code: 21609 } })
    expect(mayBeCalledBack(address, publicUrl)).toBe(false)
  })

  it("nor do Solapi's reports go elsewhere", async () => {
    const webhook = (url: string) => stage.call('POST', '/solapi/webhooks', { apiKey: 'NCSX', url, secret: 'x'.repeat(32) })
    expect(await webhook(`${strangerUrl}/v1/callbacks/solapi/demo`)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('STEPCAST_PUBLIC_URL') },
    })
    expect((await webhook(`${publicUrl}/v1/callbacks/solapi/demo`)).status).toBe(204)
    expect(called).toBe(0)
  })

  it('the product is called under its public address, by the way that leads there from here', async () => {
    stage.told.length = 0
    expect((await send(`${publicUrl}/v1/callbacks/twilio/demo?m=623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms`)).status).toBe(201)
    await until(() => stage.told.some(({ method, url }) => method === 'POST' && url.startsWith('/v1/callbacks/twilio/demo?m=')))
    expect((await send('')).status).toBe(201)
    expect((await stage.call('GET', '/about')).body.productUrl).toBe(publicUrl)
  })

  it('one of this machine may be called back too', () => {
    for (const address of ['http://localhost:8080/x', 'http://127.0.0.1:1/x', 'https://[::1]:8/x'])
      expect(mayBeCalledBack(address, publicUrl)).toBe(true)
  })
})
