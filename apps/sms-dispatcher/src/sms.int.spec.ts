// The SMS channel on real Kafka and PostgreSQL, against the provider sandbox: what a command leads to, whatever goes wrong.
import { dispatchOf, startDispatcher, Unsubscribes, type Dispatch } from '@stepcast/channel'
import { topics, userKey } from '@stepcast/contracts'
import { silentLog } from '@stepcast/kafka'
import { contextHeader, contextKey, signContext } from '@stepcast/service'
import { eventually, giveAccounts } from '@stepcast/testing'
import { itIsAPaidChannel, PaidChannelSpec, type PaidChannel, type Sent } from '../../../libs/channel/src/paidChannel.features'
import { startSandbox } from '../../provider-sandbox/src/start'
import { configFromEnv } from './config'
import { schema, serviceName, smsDispatcher } from './dispatch'
import { twilioSignature } from './twilioSignature'

const account = { accountSid: `AC${'1'.repeat(32)}`, authToken: 'the-auth-token-of-a-spec', from: '+15005550006' }

const sms: PaidChannel<'sms'> = {
  channel: 'sms',
  provider: 'twilio',
  envPrefix: 'SMS',
  endpointVariable: 'TWILIO_ENDPOINT',
  schema,
  service: serviceName,
  accounts: { twilio: account },
  content: { body: '배송이 시작되었습니다 https://shop.example/{{orderNo}}에서 확인하세요.', trackLinks: true },
  buttonId: null,
  startDispatcher: (env) => startDispatcher(smsDispatcher, { env, ownsProcess: false }),
  startSandbox: (env) => startSandbox(env, false),
  register: async (sandboxUrl) => {
    await fetch(`${sandboxUrl}/accounts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'twilio', accountSid: account.accountSid, authToken: account.authToken }),
    })
  },
  callback: (url, messageId, word) => {
    const called = `${url}?m=${messageId}`
    const status: Record<string, string> =
      typeof word === 'string' ? { MessageStatus: word } : { MessageStatus: 'undelivered', ErrorCode: word.failed }
    const form = new URLSearchParams({ MessageSid: 'SM1', AccountSid: account.accountSid, To: '+821012345678', ...status })
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': twilioSignature(account.authToken, called, form),
    }
    return { url: called, headers, body: form.toString() }
  },
  linkIn: ({ body }) => /http:\/\/127\.0\.0\.1:\d+\/l\/[A-Za-z0-9_-]+/.exec(body)![0],
}

describe('sms-dispatcher', () => {
  const spec = new PaidChannelSpec(sms)
  beforeAll(() => spec.start(__filename))
  afterAll(() => spec.stop())

  itIsAPaidChannel(spec, sms)

  it('reports how many segments are charged', async () => {
    const sent = await spec.send()
    await spec.reported(sent, 'requested')
    expect(spec.reportsOf(sent.messageId)[0]!.detail).toMatchObject({ segments: '2' })
  })

  describe('STOP', () => {
    let texts = 0
    /** A text as Twilio passes it on, of workspace `demo` unless told. */
    const textOf = (
      from: string,
      fields: Record<string, string>,
      workspaceId = 'demo',
    ): { url: string; headers: Record<string, string>; body: string } => {
      const url = `${spec.url}/v1/callbacks/twilio/${workspaceId}`
      const form = new URLSearchParams({
        MessageSid: `SM-${++texts}`,
        AccountSid: account.accountSid,
        From: from,
        To: account.from,
        SmsStatus: 'received',
        ...fields,
      })
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': twilioSignature(account.authToken, url, form),
      }
      return { url, headers, body: form.toString() }
    }
    const texted = async (
      user: { phoneNumber: string | null },
      Body: string,
      more: Record<string, string> = {},
    ): Promise<ReturnType<typeof textOf>> => {
      const call = textOf(user.phoneNumber!, { Body, ...more })
      expect(await spec.callBack(call)).toBe(200)
      return call
    }
    const unsubscribed = async (
      phoneNumber: string,
      workspaceId = 'demo',
    ): Promise<{ channelType: string; sender: string; since: string }[]> => {
      const caller = { workspaceId, scopes: ['internal' as const], userId: null, via: 'root' as const, keyId: null }
      const headers = { [contextHeader]: await signContext(contextKey(spec.env.STEPCAST_INTERNAL_SECRET), caller) }
      return (await spec.call('POST', `${spec.url}/internal/unsubscribed`, { phoneNumber }, headers)).body.unsubscribed
    }
    const senders = async (phoneNumber: string, workspaceId = 'demo'): Promise<string[]> =>
      (await unsubscribed(phoneNumber, workspaceId)).map(({ sender }) => sender)
    /** What becomes of one more message to a user: its reports, and how often Twilio was asked. */
    const oneMore = async (user: Sent['user']): Promise<[string, number]> => {
      const sent = await spec.send(user)
      await eventually(() => spec.kinds(sent).length > 0, { withinMs: 30_000 })
      return [spec.kinds(sent)[0]!, (await spec.answers(sent)).length]
    }
    const skipped = ['skipped(unsubscribed)', 0]

    it('that Twilio knows of is skipped, remembered, and not asked about again', async () => {
      const user = await spec.user({ phoneNumber: '+15550216100' })
      expect(await oneMore(user)).toEqual(['skipped(unsubscribed)', 1])
      expect([await oneMore(user), await oneMore(user)]).toEqual([skipped, skipped])
      expect(await unsubscribed('+15550216100')).toEqual([
        { channelType: 'sms', sender: account.from, since: expect.stringMatching(/^20.*Z$/) },
      ])
      // Another workspace asks for itself.
      expect(await oneMore(await spec.user({ workspaceId: 'bold', phoneNumber: '+15550216100' }))).toEqual(['skipped(unsubscribed)', 1])
    })

    it('that Twilio finds out later is skipped after requested, once, and remembered', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const told = (code: string): ReturnType<typeof sms.callback> => {
        const call = sms.callback(`${spec.url}/v1/callbacks/twilio/demo`, sent.messageId, { failed: code })
        const form = new URLSearchParams(call.body)
        form.set('To', sent.user.phoneNumber!)
        form.set('From', account.from)
        return {
          url: call.url,
          body: form.toString(),
          headers: { ...call.headers, 'x-twilio-signature': twilioSignature(account.authToken, call.url, form) },
        }
      }
      for (let time = 0; time < 3; time++) expect(await spec.callBack(told('21610'))).toBe(200)
      await spec.reported(sent, 'requested', 'skipped(unsubscribed)')
      await spec.quiet()
      expect(spec.kinds(sent)).toHaveLength(2)
      expect(await oneMore(sent.user)).toEqual(skipped)
      await texted(sent.user, 'START')
      expect(await oneMore(sent.user)).toEqual(['requested', 1])
      // Told once more of the message from before: that is no news.
      expect(await spec.callBack(told('21610'))).toBe(200)
      expect(await senders(sent.user.phoneNumber!)).toEqual([])
    })

    it('found out late, about a message from before the person said START, is not held against them', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      await texted(sent.user, 'START')
      const call = sms.callback(`${spec.url}/v1/callbacks/twilio/demo`, sent.messageId, { failed: '21610' })
      const form = new URLSearchParams({
        ...Object.fromEntries(new URLSearchParams(call.body)),
        To: sent.user.phoneNumber!,
        From: account.from,
      })
      await spec.callBack({
        ...call,
        body: form.toString(),
        headers: { ...call.headers, 'x-twilio-signature': twilioSignature(account.authToken, call.url, form) },
      })
      await spec.reported(sent, 'requested', 'skipped(unsubscribed)')
      expect(await senders(sent.user.phoneNumber!)).toEqual([])
      expect(await oneMore(sent.user)).toEqual(['requested', 1])
    })

    it('from the phone: nobody with that number is sent to, until START; another number of the person is', async () => {
      const user = await spec.user()
      const phone = `${spec.sandboxUrl}/phones/${encodeURIComponent(user.phoneNumber!)}`
      expect((await spec.call('POST', `${phone}/stop`)).status).toBe(404)
      expect(await oneMore(user)).toEqual(['requested', 1])
      expect((await spec.call('POST', `${phone}/stop`)).status).toBe(204)
      expect(await oneMore(user)).toEqual(skipped)
      expect(await oneMore(await spec.user({ phoneNumber: user.phoneNumber }))).toEqual(skipped)
      expect(await senders(user.phoneNumber!)).toEqual([account.from])
      expect(await oneMore(await spec.user({ userId: user.userId }))).toEqual(['requested', 1])
      expect((await spec.call('POST', `${phone}/start`)).status).toBe(204)
      expect(await oneMore(user)).toEqual(['requested', 1])
      expect(await senders(user.phoneNumber!)).toEqual([])
    })

    it('forgotten here is refused by Twilio, and known again', async () => {
      const user = await spec.user()
      const phone = `${spec.sandboxUrl}/phones/${encodeURIComponent(user.phoneNumber!)}`
      await oneMore(user)
      await spec.call('POST', `${phone}/stop`)
      const pool = spec.pool()
      await pool.query('DELETE FROM unsubscribes')
      await pool.end()
      expect([await oneMore(user), await oneMore(user)]).toEqual([['skipped(unsubscribed)', 1], skipped])
    })

    it('told twice, at the same time, or again later counts once: the last word of the person holds', async () => {
      const user = await spec.user()
      const stop = textOf(user.phoneNumber!, { Body: 'Stop' })
      expect(await Promise.all(Array.from({ length: 8 }, () => spec.callBack(stop)))).toEqual(Array(8).fill(200))
      const [first] = await unsubscribed(user.phoneNumber!)
      await spec.callBack(stop)
      expect(await unsubscribed(user.phoneNumber!)).toEqual([first])
      const start = await texted(user, 'START')
      await spec.callBack(stop)
      expect(await senders(user.phoneNumber!)).toEqual([])
      await texted(user, 'UNSUBSCRIBE')
      await spec.callBack(start)
      expect(await senders(user.phoneNumber!)).toEqual([account.from])
      expect(await oneMore(user)).toEqual(skipped)
    })

    it('by any word of it, or by that of Advanced Opt-Out; other texts change nothing', async () => {
      const user = await spec.user()
      for (const Body of ['STOP', 'stopall', 'Unsubscribe', 'CANCEL', 'END', 'QUIT', ' stop. ']) {
        await texted(user, Body)
        expect([Body, await senders(user.phoneNumber!)]).toEqual([Body, [account.from]])
        await texted(user, 'YES')
        expect([Body, await senders(user.phoneNumber!)]).toEqual([Body, []])
      }
      await texted(user, '그만', { OptOutType: 'STOP' })
      expect(await senders(user.phoneNumber!)).toEqual([account.from])
      for (const Body of ['HELP', 'please start', '']) await texted(user, Body)
      expect(await senders(user.phoneNumber!)).toEqual([account.from])
      await texted(user, '다시', { OptOutType: 'START' })
      expect(await senders(user.phoneNumber!)).toEqual([])
    })

    it('changes nothing unless Twilio signed it for that workspace, and concerns no other', async () => {
      const user = await spec.user()
      const call = textOf(user.phoneNumber!, { Body: 'STOP' })
      const { 'x-twilio-signature': _, ...unsigned } = call.headers
      expect(await spec.callBack({ ...call, headers: unsigned })).toBe(403)
      expect(await spec.callBack({ ...call, body: call.body.replace('STOP', 'START') })).toBe(403)
      expect(await spec.callBack({ ...call, url: call.url.replace('/demo', '/bold') })).toBe(403)
      expect(await senders(user.phoneNumber!)).toEqual([])
      await spec.callBack(call)
      expect([await senders(user.phoneNumber!), await senders(user.phoneNumber!, 'bold')]).toEqual([[account.from], []])
    })

    it('to a messaging service is of the service, whichever of its numbers was answered', async () => {
      const messagingServiceSid = `MG${'2'.repeat(32)}`
      const { from: _, ...credentials } = account
      await giveAccounts(spec.connection, spec.env, 'served', { twilio: { ...credentials, messagingServiceSid } })
      await spec.approve('served', 'shipped', sms.content)
      const user = await spec.user({ workspaceId: 'served' })
      expect(await oneMore(user)).toEqual(['requested', 1])
      await spec.callBack(
        textOf(user.phoneNumber!, { Body: 'STOP', To: '+15005550099', MessagingServiceSid: messagingServiceSid }, 'served'),
      )
      expect(await senders(user.phoneNumber!, 'served')).toEqual([messagingServiceSid])
      expect(await oneMore(user)).toEqual(skipped)
      await spec.callBack(
        textOf(user.phoneNumber!, { Body: 'START', To: '+15005550098', MessagingServiceSid: messagingServiceSid }, 'served'),
      )
      expect(await oneMore(user)).toEqual(['requested', 1])
    })

    it('is of the number: it outlives the erasure of its user, and the number itself stands nowhere', async () => {
      const user = await spec.user()
      expect(await oneMore(user)).toEqual(['requested', 1])
      await texted(user, 'STOP')
      await (await spec.connection.producer()).send(topics.users, [{ key: userKey('demo', user.userId), value: null }])
      expect((await oneMore(user))[0]).toBe('skipped(no_user)')
      const pool = spec.pool()
      for (const table of ['unsubscribes', 'wishes', 'messages', 'ledger', 'users']) {
        const { rows } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`)
        expect([table, rows.filter(({ row }) => row.includes(user.phoneNumber!.slice(1)))]).toEqual([table, []])
      }
      await pool.end()
      expect(await oneMore(await spec.user({ phoneNumber: user.phoneNumber }))).toEqual(skipped)
    })

    it('is still known under another secret while the one before is given too', async () => {
      const pool = spec.pool()
      const asked = { workspaceId: 'demo', sender: account.from, address: '+821011112222' }
      const before = new Unsubscribes(pool, ['before'])
      const during = new Unsubscribes(pool, ['after', 'before'])
      const after = new Unsubscribes(pool, ['after'])
      const knows = async (of: Unsubscribes): Promise<boolean> => (await of.among([asked])).size === 1
      await before.take('demo', { kind: 'stop', id: 'SM-rotated', address: asked.address, senders: [asked.sender] })
      expect([await knows(before), await knows(after), (await during.of('demo', asked.address)).length]).toEqual([true, false, 1])
      expect([await knows(during), await knows(during), await knows(after), await knows(before)]).toEqual([true, true, true, false])
      await pool.end()
    })
  })

  it.each([
    ['보기 https://shop.example/상품/42 감사', 'https://shop.example/%EC%83%81%ED%92%88/42', /^보기 \S+ 감사$/],
    ['https://shop.example/find?q=신발&id=42', 'https://shop.example/find?q=%EC%8B%A0%EB%B0%9C&id=42', /^\S+$/],
    ['https://shop.example/p?utm_term=red|blue&id=7', 'https://shop.example/p?utm_term=red|blue&id=7', /^\S+$/],
    ['https://shop.example/p?q={x}&id=7', 'https://shop.example/p?q={x}&id=7', /^\S+$/],
  ])('a link is tracked as a phone cuts it: %s', async (body, target, shape) => {
    await spec.approve('demo', 'cut', { body: '{{orderNo}}', trackLinks: true })
    const sent = await spec.send(undefined, { templateId: 'cut', variables: { orderNo: body } })
    await spec.reported(sent, 'requested')
    const { body: held } = await spec.call('GET', `${spec.sandboxUrl}/phones?to=${encodeURIComponent(sent.user.phoneNumber!)}&limit=20`)
    expect(held.items[0].body).toMatch(shape)
    expect((await spec.open(await spec.link(sent))).headers.get('location')).toBe(target)
  })

  it('a text that was no address stays one', async () => {
    const sent = await spec.send(undefined, { templateId: 'cut', variables: { orderNo: 'http:///x' } })
    await spec.reported(sent, 'requested')
    const { body: held } = await spec.call('GET', `${spec.sandboxUrl}/phones?to=${encodeURIComponent(sent.user.phoneNumber!)}&limit=20`)
    expect(held.items[0].body).toBe('http:///x')
  })

  it('says what was charged where Twilio took it although its answer was lost', async () => {
    await spec.fault('accept-then-reset')
    const sent = await spec.send()
    await eventually(() => spec.kinds(sent)[0]?.startsWith('unknown'), { withinMs: 20_000 })
    await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/delivered`)
    await eventually(() => spec.kinds(sent).includes('requested'), { withinMs: 20_000 })
    const requested = spec.reports.find(({ messageId, kind }) => messageId === sent.messageId && kind === 'requested')
    expect(requested?.detail).toMatchObject({ segments: '2' })
  })

  it('reports what Twilio finds out later', async () => {
    const sent = await spec.send(await spec.user({ phoneNumber: '+15550300030' }))
    await spec.reported(sent, 'requested', 'failed(30003)')
  })
})

describe('sms-dispatcher killed in the middle', () => {
  const spec = new PaidChannelSpec(sms)
  beforeAll(() => spec.start(__filename))
  afterAll(() => spec.stop())

  it('between the attempt and its outcome: reported unknown, and not sent again', async () => {
    // It goes on as a bare dispatch, which can be abandoned; nobody listens where Twilio calls back.
    await spec.service.stop()
    const begin = async (): Promise<{ dispatch: Dispatch<'sms'>; end: () => Promise<void> }> => {
      const pool = spec.pool()
      const dispatch = dispatchOf(
        smsDispatcher,
        { config: configFromEnv(spec.env), connection: spec.connection, pool, log: silentLog },
        { leaseMs: 2_500 },
      )
      await dispatch.start()
      return { dispatch, end: () => pool.end() }
    }
    await spec.fault('slow', { delayMs: 1_000 })
    const killed = await begin()
    const sent = await spec.send()
    await eventually(async () => (await spec.answers(sent)).length === 1, { everyMs: 10 })
    await killed.dispatch.abandon()
    const revived = await begin()
    await spec.reported(sent, 'unknown(lease_expired)')
    await spec.quiet(3_000)
    expect([spec.kinds(sent), (await spec.answers(sent)).length]).toEqual([['unknown(lease_expired)'], 1])
    await revived.dispatch.stop()
    await revived.end()
    await killed.end()
  })
})
