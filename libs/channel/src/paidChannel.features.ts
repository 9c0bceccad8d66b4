// What every channel that costs money must do, from a command on Kafka to a click: a suite run for each, against the provider sandbox.
import { randomUUID } from 'node:crypto'
import type { AccountOf } from '@stepcast/accounts'
import {
  commandTopicOf,
  messageIdOf,
  sequenceIdOf,
  topics,
  userKey,
  type DispatchStep,
  type EngagementReported,
  type UserChanged,
} from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { createPool } from '@stepcast/postgres'
import { contextHeader, contextKey, expectEveryRouteScoped, signContext, type RunningService } from '@stepcast/service'
import { freePort } from '@stepcast/stack'
import { templateApproved, type ContentOf, type TemplateChannel } from '@stepcast/template'
import { eventually, giveAccounts, specStack, type SpecStack } from '@stepcast/testing'

type Paid = 'sms' | 'kakao'

/** A channel with its dispatcher and its provider. */
export interface PaidChannel<C extends Paid> {
  readonly channel: C
  readonly provider: 'twilio' | 'solapi'
  /** Of the service's variables: `SMS`, `KAKAO`. */
  readonly envPrefix: string
  readonly endpointVariable: string
  readonly schema: string
  readonly service: string
  readonly accounts: Partial<AccountOf>
  /** With one link, to `https://shop.example/{{orderNo}}`. */
  readonly content: ContentOf[C]
  /** The button of that link; null: it is in the text. */
  readonly buttonId: string | null
  readonly startDispatcher: (env: Record<string, string>) => Promise<RunningService>
  readonly startSandbox: (env: Record<string, string>) => Promise<{ readonly url: string; stop(): Promise<void> }>
  /** Makes the account known to the sandbox; callbacks go to `callbackUrl`. */
  readonly register: (sandboxUrl: string, callbackUrl: string) => Promise<void>
  /** A callback as the provider makes it: of a message of ours, signed with the account of workspace `demo`. */
  readonly callback: (url: string, messageId: string, word: CallbackWord) => CallbackCall
  /** The tracked link in what arrived. */
  readonly linkIn: (held: { body: string; links: readonly { url: string }[] }) => string
}

/** What a callback says; `failed` with the provider's code. */
export type CallbackWord = 'sent' | 'delivered' | { readonly failed: string }

/** A call to the callback address. */
export interface CallbackCall {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A command that was produced. */
export interface Sent {
  readonly command: DispatchStep
  readonly messageId: string
  readonly user: UserChanged
}

// Short, so that lost answers are given up soon; longer than a loaded machine needs for one call.
const timeoutMs = 1_500
const phoneAgent =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'

/** One channel on its own part of the stack. */
export class PaidChannelSpec<C extends Paid> {
  readonly reports: EngagementReported[] = []
  env: Record<string, string> = {}
  url = ''
  sandboxUrl = ''
  service!: RunningService
  connection!: KafkaConnection
  private stack!: SpecStack
  private sandbox!: { readonly url: string; stop(): Promise<void> }
  private reader!: RunningConsumer
  private users = 0

  constructor(private readonly of: PaidChannel<C>) {}

  async start(file: string): Promise<void> {
    const { of } = this
    this.stack = await specStack(file)
    this.connection = this.stack.connection()
    const port = await freePort()
    this.url = `http://127.0.0.1:${port}`
    this.sandbox = await of.startSandbox({ LOG_LEVEL: 'silent', STEPCAST_PUBLIC_URL: this.url })
    this.sandboxUrl = this.sandbox.url
    await of.register(this.sandboxUrl, `${this.url}/v1/callbacks/${of.provider}/demo`)
    this.env = {
      ...this.stack.env,
      PORT: String(port),
      STEPCAST_PUBLIC_URL: this.url,
      STEPCAST_MINUTE_MS: '1000',
      [of.endpointVariable]: this.sandboxUrl,
      [`${of.envPrefix}_TIMEOUT_MS`]: String(timeoutMs),
    }
    await giveAccounts(this.connection, this.env, 'demo', of.accounts)
    await giveAccounts(this.connection, this.env, 'bold', of.accounts, { resendUnknown: { sms: true, kakao: true } })
    await giveAccounts(this.connection, this.env, 'bare', {})
    for (const workspaceId of ['demo', 'bold', 'bare']) await this.approve(workspaceId, 'shipped', of.content)
    this.service = await of.startDispatcher(this.env)
    this.reader = await consumeRecords(this.connection, {
      topic: topics.engagements,
      groupId: 'spec',
      handle: async (records) => void this.reports.push(...records.map(({ value }) => value!)),
    })
  }

  async stop(): Promise<void> {
    await this.reader?.stop()
    await this.service?.stop()
    await this.sandbox?.stop()
    await this.stack?.stop()
  }

  pool(): ReturnType<typeof createPool> {
    return createPool({ databaseUrl: this.stack.databaseUrl, schema: this.of.schema, applicationName: 'spec' })
  }

  async call(method: string, url: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: any }> {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }

  /** Headers of the workspace's administrator. */
  async admin(workspaceId = 'demo'): Promise<Record<string, string>> {
    const caller = { workspaceId, scopes: ['admin' as const, 'read' as const], userId: null, via: 'api_key' as const, keyId: null }
    return { [contextHeader]: await signContext(contextKey(this.env.STEPCAST_INTERNAL_SECRET), caller) }
  }

  async user(changes: Partial<UserChanged> = {}): Promise<UserChanged> {
    // Silent numbers: their phones do nothing until they are told.
    const number = `+8210${String(12_340_000 + ++this.users)}`
    const user: UserChanged = {
      workspaceId: 'demo',
      userId: `user-${this.users}`,
      phoneNumber: number,
      kakaoPhoneNumber: null,
      locale: null,
      timezone: null,
      devices: [],
      optOutChannels: [],
      optOutCategories: [],
      quietHoursStart: null,
      quietHoursEnd: null,
      updatedAt: Date.now(),
      ...changes,
    }
    await (await this.connection.producer()).send(topics.users, [{ key: userKey(user.workspaceId, user.userId), value: user }])
    return user
  }

  commandFor(user: UserChanged, changes: Partial<DispatchStep> = {}): Sent {
    const sendId = randomUUID()
    const sequenceId = sequenceIdOf(user.workspaceId, sendId, user.userId)
    const messageId = messageIdOf(sequenceId, 3, this.of.channel)
    const command: DispatchStep = {
      action: 'send',
      workspaceId: user.workspaceId,
      messageId,
      sequenceId,
      sendId,
      step: 3,
      channelType: this.of.channel,
      userId: user.userId,
      templateId: 'shipped',
      templateVersion: 1,
      campaignId: null,
      variables: { orderNo: '42' },
      commandedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
      windowMs: 60_000,
      ...changes,
    }
    return { command, messageId, user }
  }

  async produce(...commands: readonly DispatchStep[]): Promise<void> {
    await (await this.connection.producer()).send(
      commandTopicOf[this.of.channel],
      commands.map((value) => ({ key: value.sequenceId, value })),
    )
  }

  /** Commands a message to a user; a new one of workspace `demo` unless given. */
  async send(user?: UserChanged, changes: Partial<DispatchStep> = {}): Promise<Sent> {
    const sent = this.commandFor(user ?? (await this.user()), changes)
    await this.produce(sent.command)
    return sent
  }

  fault(mode: string, more: object = {}): Promise<unknown> {
    return this.call('POST', `${this.sandboxUrl}/faults`, { provider: this.of.provider, mode, rate: 1, count: 1, ...more })
  }

  /** How each arrival of the message was answered. */
  async answers({ messageId }: Sent): Promise<string[]> {
    const { body } = await this.call('GET', `${this.sandboxUrl}/log?messageId=${messageId}`)
    return (body.items as { answer: string }[]).map(({ answer }) => answer)
  }

  kinds({ messageId }: Sent): string[] {
    return this.reportsOf(messageId).map(({ kind, reason }) => (reason === null ? kind : `${kind}(${reason})`))
  }

  reportsOf(messageId: string): EngagementReported[] {
    return this.reports.filter((report) => report.messageId === messageId)
  }

  async reported(sent: Sent, ...expected: string[]): Promise<void> {
    await eventually(() => this.kinds(sent).length >= expected.length, { withinMs: 30_000 }).catch(() => {})
    expect(this.kinds(sent)).toEqual(expected)
  }

  quiet(ms = 600): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  /** Makes a callback as the provider would. */
  async callBack({ url, headers, body }: CallbackCall): Promise<number> {
    return (await fetch(url, { method: 'POST', headers, body })).status
  }

  /** The tracked link that the phone got. */
  async link({ messageId, user }: Sent): Promise<string> {
    const to = encodeURIComponent(user.kakaoPhoneNumber ?? user.phoneNumber!)
    const { body } = await this.call('GET', `${this.sandboxUrl}/phones?to=${to}&limit=20`)
    return this.of.linkIn(body.items.find((held: { messageId: string }) => held.messageId === messageId))
  }

  /** Opens a link as a phone's browser, or as `headers` and `method` say. */
  async open(link: string, headers: Record<string, string> = { 'user-agent': phoneAgent }, method = 'GET'): Promise<Response> {
    const response = await fetch(link, { method, headers, redirect: 'manual' })
    await response.arrayBuffer()
    return response
  }

  /** Approves a template with one variable, `orderNo`. */
  async approve(workspaceId: string, templateId: string, content: ContentOf[C]): Promise<void> {
    const { channel } = this.of
    await (await this.connection.producer()).send(topics.templates, [
      {
        key: `${workspaceId}/${templateId}/1`,
        value: {
          workspaceId,
          templateId,
          changedAt: Date.now(),
          change: templateApproved(1, {
            name: 'Shipped',
            category: 'Transactional',
            variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
            channels: [{ channelType: channel, content } as TemplateChannel],
            config: { sequenceEnabled: false, sequence: null },
          }),
        },
      },
    ])
  }
}

/** Declares the suite; call it inside a `describe` whose hooks start and stop `spec`. */
export function itIsAPaidChannel<C extends Paid>(spec: PaidChannelSpec<C>, of: PaidChannel<C>): void {
  const { channel, provider } = of
  const callbackUrl = (workspaceId = 'demo'): string => `${spec.url}/v1/callbacks/${provider}/${workspaceId}`
  const said = (sent: Sent, word: CallbackWord): CallbackCall => of.callback(callbackUrl(), sent.messageId, word)
  const failedCode = provider === 'twilio' ? '30003' : '3104'

  afterEach(async () => {
    await spec.call('DELETE', `${spec.sandboxUrl}/faults`)
  })

  it('declares a scope for every route', () => expectEveryRouteScoped(spec.service.app))

  describe('a message', () => {
    it('is handed over once, called back as delivered, and clicked', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      expect(spec.reportsOf(sent.messageId)[0]).toMatchObject({
        workspaceId: 'demo',
        source: of.service,
        providerMessageId: expect.any(String),
        detail: { provider, target: 'number' },
      })
      await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/delivered`)
      await spec.reported(sent, 'requested', 'delivered')
      await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/clicked`)
      await spec.reported(sent, 'requested', 'delivered', 'clicked')
      expect(spec.reportsOf(sent.messageId)[2]).toMatchObject({
        source: 'link',
        detail: { provider, target: 'number', ...(of.buttonId === null ? {} : { buttonId: of.buttonId }) },
      })
      expect(await spec.answers(sent)).toHaveLength(1)
    })

    it('that is commanded again is answered by its report, not sent again', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      await spec.produce(sent.command)
      await spec.reported(sent, 'requested', 'requested')
      expect(await spec.answers(sent)).toHaveLength(1)
    })

    it('of unknown outcome is never sent again, and listed until an operator has looked', async () => {
      await spec.fault('500')
      const sent = await spec.send()
      await eventually(() => spec.kinds(sent)[0]?.startsWith('unknown'), { withinMs: 20_000 })
      const listed = async (): Promise<string[]> =>
        (await spec.call('GET', `${spec.url}/v1/${channel}/unknown?limit=100`, undefined, await spec.admin())).body.items.map(
          (item: { messageId: string }) => item.messageId,
        )
      expect(await listed()).toContain(sent.messageId)
      await spec.quiet(2_500)
      expect(await spec.answers(sent)).toHaveLength(1)
      const resolve = async (action: string): Promise<number> =>
        (await spec.call('POST', `${spec.url}/v1/${channel}/unknown/${sent.messageId}/number`, { action }, await spec.admin())).status
      expect([await resolve('not_sent'), await resolve('not_sent'), await resolve('resend')]).toEqual([204, 204, 409])
      expect(await listed()).not.toContain(sent.messageId)
      const nobodys = `${spec.url}/v1/${channel}/unknown/nonsense/number`
      expect(await spec.call('POST', nobodys, { action: 'sent' }, await spec.admin())).toMatchObject({ status: 404 })
      await eventually(() => spec.kinds(sent).includes('failed(not_sent)'))
      expect(await spec.answers(sent)).toHaveLength(1)
    })

    it('that was taken although its answer was lost is requested as soon as the provider speaks of it', async () => {
      await spec.fault('accept-then-reset')
      const sent = await spec.send()
      await eventually(() => spec.kinds(sent).includes('requested') || spec.kinds(sent)[0]?.startsWith('unknown'), { withinMs: 20_000 })
      await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/delivered`)
      await eventually(() => ['requested', 'delivered'].every((kind) => spec.kinds(sent).includes(kind)), { withinMs: 20_000 })
      expect(await spec.answers(sent)).toHaveLength(1)
    })

    it('of unknown outcome is sent again where the workspace says so', async () => {
      await spec.fault('500')
      const sent = await spec.send(await spec.user({ workspaceId: 'bold' }))
      await eventually(() => spec.kinds(sent).includes('requested'), { withinMs: 40_000 })
      expect(spec.kinds(sent)).toEqual([expect.stringMatching(/^unknown/), 'requested'])
      expect(await spec.answers(sent)).toHaveLength(2)
    })

    it('of unknown outcome is not sent again by an operator either once it was taken back', async () => {
      await spec.fault('500')
      const sent = await spec.send()
      await eventually(() => spec.kinds(sent)[0]?.startsWith('unknown'), { withinMs: 20_000 })
      await spec.produce({ ...sent.command, action: 'withdraw', variables: {} })
      const resolve = async (action: string): Promise<number> => {
        const address = `${spec.url}/v1/${channel}/unknown/${sent.messageId}/number`
        return (await spec.call('POST', address, { action }, await spec.admin())).status
      }
      await spec.quiet()
      expect([await resolve('resend'), (await spec.answers(sent)).length]).toEqual([409, 1])
      expect(await resolve('not_sent')).toBe(204)
    })

    it('keeps its link however often it is attempted', async () => {
      await spec.fault('429', { retryAfterS: 1 })
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      expect(await spec.answers(sent)).toHaveLength(2)
      const pool = spec.pool()
      expect((await pool.query('SELECT target FROM links WHERE message_id = $1', [sent.messageId])).rows).toEqual([
        { target: 'https://shop.example/42' },
      ])
      await pool.end()
    })
  })

  it('sends each of many once through a storm of 429s', async () => {
    const users = await Promise.all(Array.from({ length: 30 }, () => spec.user()))
    await spec.fault('429', { rate: 0.5, count: 40, retryAfterS: 1 })
    const sent = users.map((user) => spec.commandFor(user))
    await spec.produce(...sent.map(({ command }) => command))
    await eventually(() => sent.every((one) => spec.kinds(one).length === 1), { withinMs: 60_000 })
    expect(sent.map((one) => spec.kinds(one))).toEqual(sent.map(() => ['requested']))
    const accepted = await Promise.all(
      sent.map(async (one) => (await spec.answers(one)).filter((answer) => !answer.startsWith('429')).length),
    )
    expect(accepted).toEqual(sent.map(() => 1))
  })

  describe('nothing is sent', () => {
    it('to whom has no number, or has opted out of the channel or the category', async () => {
      const withoutNumber = await spec.send(await spec.user({ phoneNumber: null }))
      const ofChannel = await spec.send(await spec.user({ optOutChannels: [channel] }))
      const ofCategory = await spec.send(await spec.user({ optOutCategories: ['Transactional'] }))
      await spec.reported(withoutNumber, 'skipped(no_number)')
      await spec.reported(ofChannel, 'skipped(opted_out)')
      await spec.reported(ofCategory, 'skipped(opted_out)')
      expect([...(await spec.answers(ofChannel)), ...(await spec.answers(ofCategory))]).toEqual([])
    })
    it('by a workspace without an account', async () => {
      await spec.reported(await spec.send(await spec.user({ workspaceId: 'bare' })), 'skipped(channel_disabled)')
    })
    it('that was taken back before it began, or while it waited', async () => {
      const early = spec.commandFor(await spec.user())
      await spec.produce({ ...early.command, action: 'withdraw', variables: {} })
      await spec.quiet()
      await spec.produce(early.command)
      await spec.reported(early, 'skipped(withdrawn)')
      await spec.fault('429', { retryAfterS: 3 })
      const waiting = await spec.send()
      await eventually(async () => (await spec.answers(waiting)).length === 1)
      await spec.produce({ ...waiting.command, action: 'withdraw', variables: {} })
      await spec.reported(waiting, 'skipped(withdrawn)')
      await spec.quiet(3_000)
      expect([await spec.answers(early), (await spec.answers(waiting)).length]).toEqual([[], 1])
    })
  })

  describe('nobody is called with a message', () => {
    const longest = channel === 'sms' ? 1_600 : 1_000
    const reasons: readonly (readonly [string, string, string])[] = [
      ['that is empty', '', 'empty'],
      ['that is blank', ' \u3164\u200b', 'empty'],
      ['that is longer than the provider takes', '가'.repeat(longest + 1), 'too_large'],
      ['that is longer than anybody takes', 'x'.repeat(60_000), 'too_large'],
    ]
    it.each(reasons)('%s', async (_what, orderNo, reason) => {
      await spec.approve('demo', 'bare-text', { ...of.content, body: '{{orderNo}}', buttons: [] })
      const sent = await spec.send(undefined, { templateId: 'bare-text', variables: { orderNo } })
      await spec.reported(sent, `failed(${reason})`)
      expect(await spec.answers(sent)).toEqual([])
    })
    it('as long as it may be it is sent', async () => {
      const sent = await spec.send(undefined, { templateId: 'bare-text', variables: { orderNo: '가'.repeat(longest) } })
      await spec.reported(sent, 'requested')
    })
    it('whose address a value would lead elsewhere', async () => {
      // Approved before such an address was refused.
      await spec.approve('demo', 'led', { ...of.content, body: 'Go https://shop.example{{orderNo}} now', buttons: [] })
      for (const orderNo of ['.evil.example/', '@evil.example/', '\\@evil.example']) {
        const sent = await spec.send(undefined, { templateId: 'led', variables: { orderNo } })
        await spec.reported(sent, 'failed(unsafe_address)')
        expect(await spec.answers(sent)).toEqual([])
      }
      await spec.reported(await spec.send(undefined, { templateId: 'led', variables: { orderNo: '/orders/42' } }), 'requested')
    })
  })

  describe('a callback', () => {
    const orders: readonly (readonly CallbackWord[])[] = [
      ['sent', 'delivered'],
      ['delivered', 'sent'],
      ['delivered', 'delivered', 'sent', 'sent', 'delivered'],
      ['sent', 'delivered', { failed: failedCode }, 'delivered'],
    ]
    it.each(orders.map((order) => [order]))('tells delivered once, in whatever order and however often: %j', async (order) => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      for (const word of order) expect(await spec.callBack(said(sent, word))).toBe(200)
      await spec.quiet()
      expect(spec.kinds(sent)).toEqual(['requested', 'delivered'])
    })
    it('tells delivered once, though they come at the same time', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      await Promise.all(Array.from({ length: 10 }, () => spec.callBack(said(sent, 'delivered'))))
      await spec.reported(sent, 'requested', 'delivered')
      await spec.quiet()
      expect(spec.kinds(sent)).toEqual(['requested', 'delivered'])
    })
    it('tells failed with its code, once', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      for (let time = 0; time < 3; time++) await spec.callBack(said(sent, { failed: failedCode }))
      await spec.reported(sent, 'requested', `failed(${failedCode})`)
      await spec.quiet()
      expect(spec.kinds(sent)).toHaveLength(2)
    })
    it.each(['duplicate-callbacks', 'reordered-callbacks', 'late-callbacks'])(
      'tells delivered once when the provider has %s',
      async (mode) => {
        await spec.fault(mode, { delayMs: 300 })
        const sent = await spec.send()
        await spec.reported(sent, 'requested')
        await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/delivered`)
        await spec.reported(sent, 'requested', 'delivered')
        await spec.quiet(1_000)
        expect(spec.kinds(sent)).toEqual(['requested', 'delivered'])
      },
    )
    it('tells delivered after all, where it was called failed before', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      await spec.callBack(said(sent, { failed: failedCode }))
      await spec.callBack(said(sent, 'delivered'))
      await spec.reported(sent, 'requested', `failed(${failedCode})`, 'delivered')
    })
    const altered = (signature: string): string => (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
    it('changes nothing unless the account of that workspace signed it', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const good = said(sent, 'delivered')
      const unsigned = { ...good, headers: { 'content-type': good.headers['content-type']! } }
      const wrong = {
        ...good,
        headers: Object.fromEntries(
          Object.entries(good.headers).map(([name, value]) => [name, name.startsWith('x-') ? altered(value) : value]),
        ),
      }
      const elsewhere = { ...good, url: good.url.replace('/demo', '/bare') }
      const nowhere = { ...good, url: good.url.replace('/demo', '/nobody') }
      const ofOther = { ...good, url: good.url.replace(`/${provider}/`, '/fcm/') }
      for (const call of [unsigned, wrong, elsewhere, nowhere, ofOther]) expect(await spec.callBack(call)).toBe(403)
      await spec.quiet()
      expect(spec.kinds(sent)).toEqual(['requested'])
    })
    it("passes over another workspace's message, one never sent, and what is no messageId", async () => {
      const others = await spec.send(await spec.user({ workspaceId: 'bold' }))
      await spec.reported(others, 'requested')
      const never = spec.commandFor(await spec.user())
      for (const messageId of [others.messageId, never.messageId, 'nonsense', '']) {
        expect(await spec.callBack(of.callback(callbackUrl(), messageId, 'delivered'))).toBe(200)
      }
      await spec.quiet()
      expect([spec.kinds(others), spec.kinds(never)]).toEqual([['requested'], []])
    })
  })

  describe('a tracked link', () => {
    const clicks = (sent: Sent): number => spec.kinds(sent).filter((kind) => kind === 'clicked').length

    it('leads to its target and counts a person once', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      expect(link).toMatch(/\/l\/[sk][A-Za-z0-9_-]{24}$/)
      for (let time = 0; time < 3; time++) {
        const response = await spec.open(link)
        expect([response.status, response.headers.get('location')]).toEqual([302, 'https://shop.example/42'])
        expect([response.headers.get('cache-control'), response.headers.get('referrer-policy')]).toEqual(['no-store', 'no-referrer'])
      }
      await eventually(() => clicks(sent) === 1)
      await spec.quiet()
      expect(clicks(sent)).toBe(1)
    })
    it('leads to one page for one value, whatever is in it', async () => {
      const orderNo = 'A 12/b & 신발 #5 50%'
      const sent = await spec.send(undefined, { variables: { orderNo } })
      await spec.reported(sent, 'requested')
      expect((await spec.open(await spec.link(sent))).headers.get('location')).toBe(`https://shop.example/${encodeURIComponent(orderNo)}`)
    })
    it('of another message that a value brings stays what it is', async () => {
      const annas = await spec.send()
      await spec.reported(annas, 'requested')
      const link = await spec.link(annas)
      await spec.approve('demo', 'as-before', { ...of.content, body: 'as before: {{orderNo}}', buttons: [] })
      const berts = await spec.send(undefined, { templateId: 'as-before', variables: { orderNo: link } })
      await spec.reported(berts, 'requested')
      const pool = spec.pool()
      expect((await pool.query('SELECT FROM links WHERE message_id = $1', [berts.messageId])).rowCount).toBe(0)
      await pool.end()
    })
    it('is found though a phone takes the words behind it for a part of it', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      for (const behind of ['에서', '입니다.', ')', '。']) expect((await spec.open(link + behind)).status).toBe(302)
    })
    it('leads previews, scanners and those who look ahead there too, and counts none of them', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      const answers = [
        await spec.open(link, { 'user-agent': 'facebookexternalhit/1.1; kakaotalk-scrap/1.0' }),
        await spec.open(link, { 'user-agent': phoneAgent, 'sec-purpose': 'prefetch' }),
        await spec.open(link, { 'user-agent': phoneAgent }, 'HEAD'),
      ]
      expect(answers.map(({ status }) => status)).toEqual([302, 302, 302])
      await spec.quiet()
      expect(clicks(sent)).toBe(0)
      await spec.open(link)
      await eventually(() => clicks(sent) === 1)
    })
    it('that was altered is not found, whatever it says', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      const token = link.split('/l/')[1]!
      const flipped = token.slice(0, 9) + (token[9] === 'A' ? 'B' : 'A') + token.slice(10)
      const others = [
        flipped,
        token.slice(0, -1),
        `${token}A`,
        `${token[0] === 's' ? 'k' : 's'}${token.slice(1)}`,
        '%2F%2Fevil.example',
        'javascript:alert(1)',
        '%5Cevil.example',
        'a@evil.example',
        '%0d%0aLocation:%20https://evil.example',
      ]
      for (const other of others) {
        const response = await spec.open(`${spec.url}/l/${other}`)
        expect([other, response.status, response.headers.get('location')]).toEqual([other, 404, null])
      }
      await spec.quiet()
      expect(clicks(sent)).toBe(0)
    })
    it('leads nowhere when it has expired', async () => {
      const sent = await spec.send()
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      const pool = spec.pool()
      await pool.query(`UPDATE links SET expires_at = now() - interval '1 second' WHERE message_id = $1`, [sent.messageId])
      await pool.end()
      const response = await spec.open(link)
      expect([response.status, response.headers.get('location'), response.headers.get('content-type')]).toEqual([
        410,
        null,
        expect.stringContaining('text/html'),
      ])
    })
    it('leads nowhere when its user was erased, and nothing of where it led is left', async () => {
      const sent = await spec.send(undefined, { variables: { orderNo: 'canary-7261' } })
      await spec.reported(sent, 'requested')
      const link = await spec.link(sent)
      await (await spec.connection.producer()).send(topics.users, [{ key: userKey('demo', sent.user.userId), value: null }])
      await eventually(async () => (await spec.open(link)).status === 410)
      const pool = spec.pool()
      expect((await pool.query(`SELECT FROM links WHERE target LIKE '%canary-7261%'`)).rowCount).toBe(0)
      await pool.end()
    })
    it('proves that a message of unknown outcome has arrived', async () => {
      await spec.fault('accept-then-reset')
      const sent = await spec.send()
      await eventually(() => spec.kinds(sent).length > 0, { withinMs: 20_000 })
      await spec.open(await spec.link(sent))
      await eventually(() => ['requested', 'clicked'].every((kind) => spec.kinds(sent).includes(kind)))
    })
  })

  it('says nothing personal in its reports', async () => {
    const sent = await spec.send()
    await spec.reported(sent, 'requested')
    const told = JSON.stringify(spec.reports)
    for (const personal of [sent.user.phoneNumber!, sent.user.phoneNumber!.slice(3), 'shop.example']) expect(told).not.toContain(personal)
  })
}
