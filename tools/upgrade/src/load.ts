// People who are sent to while versions change: each plays a script with one right ending, through whichever gateway is there.
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'

/** How a sequence must end. */
export type Ending = 'stopped' | 'exhausted' | 'cancelled'

/** What a person does. */
export interface Script {
  readonly name: string
  readonly templateId: string
  readonly ending: Ending
  readonly via: 'http' | 'kafka'
  /** Plays the person until they have nothing more to do; absent: they never do anything. */
  readonly act?: (client: Client, person: Person) => Promise<void>
}

/** Someone who was sent to. */
export interface Person {
  readonly userId: string
  readonly sendId: string
  readonly sequenceId: string
  readonly script: Script
}

const body = 'Order {{orderNo}}'
const inApp = { channelType: 'in_app', content: { title: 'Shipped', body, imageUrl: null, buttons: [] } }
const push = { channelType: 'push', content: { title: 'Shipped', body, data: {} } }
const sms = { channelType: 'sms', content: { body: `${body}: https://shop.example/{{orderNo}}`, trackLinks: true } }
const kakao = { channelType: 'kakao', content: { senderKey: 'shop', templateCode: 'shipped', body, buttons: [] } }
const sequenceOf = (steps: readonly object[]): object => ({ sequenceEnabled: true, sequence: { steps, dispatchTtlMinutes: 1440 } })

/** Short windows for those who do nothing, long ones for those who act: then no slow machine changes an ending. */
export const templates: readonly { readonly templateId: string; readonly channels: readonly object[]; readonly config: object }[] = [
  {
    templateId: 'all-four',
    channels: [inApp, push, sms, kakao],
    config: sequenceOf([
      { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 5 },
      { channels: ['push'], stopCondition: 'clicked', waitMinutes: 5 },
      { channels: ['sms'], stopCondition: 'clicked', waitMinutes: 5 },
      { channels: ['kakao'] },
    ]),
  },
  {
    templateId: 'feed-first',
    channels: [inApp, push],
    config: sequenceOf([{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 1440 }, { channels: ['push'] }]),
  },
  {
    templateId: 'push-first',
    channels: [push, sms],
    config: sequenceOf([{ channels: ['push'], stopCondition: 'clicked', waitMinutes: 1440 }, { channels: ['sms'] }]),
  },
]

/** How many people there are: `user-0`, `user-1` … */
export const people = 200

/** Every script, in the order in which people get them. */
const scripts: readonly Script[] = [
  { name: 'silent over HTTP', templateId: 'all-four', ending: 'exhausted', via: 'http' },
  { name: 'silent over Kafka', templateId: 'all-four', ending: 'exhausted', via: 'kafka' },
  {
    name: 'views',
    templateId: 'feed-first',
    ending: 'stopped',
    via: 'http',
    act: (client, { userId, sequenceId }) =>
      client.call('POST', `/v1/feed/${sequenceId}.1.in_app/viewed`, { onBehalfOf: userId, missingPasses: true }),
  },
  {
    name: 'clicks',
    templateId: 'push-first',
    ending: 'stopped',
    via: 'kafka',
    act: (client, { userId, sequenceId }) =>
      client.call('POST', `/v1/push/${sequenceId}.1.push/clicked`, { onBehalfOf: userId, missingPasses: true }),
  },
  {
    name: 'is cancelled',
    templateId: 'feed-first',
    ending: 'cancelled',
    via: 'http',
    act: async (client, { userId, sequenceId }) => {
      // Known first: a cancel of what nobody has heard of yet is another story.
      await client.call('GET', `/v1/sequences/${sequenceId}`, { onBehalfOf: userId, missingPasses: true })
      await client.call('POST', `/v1/sequences/${sequenceId}/cancel`, { missingPasses: true })
    },
  },
]

interface Call {
  readonly body?: unknown
  readonly idempotencyKey?: string
  readonly onBehalfOf?: string
  /** 404 means not yet. */
  readonly missingPasses?: boolean
}

const passing = new Set([429, 500, 502, 503, 504])
const patienceMs = 90_000

/** One workspace's backend; each call goes to one of the gateways that are there. */
export class Client {
  private turn = 0

  constructor(
    private readonly gateways: () => readonly string[],
    private readonly apiKey: string,
  ) {}

  /** Makes a call until it is answered. @throws Error with what was said */
  async call<T = void>(
    method: string,
    path: string,
    { body: content, idempotencyKey, onBehalfOf, missingPasses = false }: Call = {},
  ): Promise<T> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const urls = this.gateways()
      let problem: string
      try {
        const response = await fetch(urls[this.turn++ % urls.length]! + path, {
          method,
          signal: AbortSignal.timeout(15_000),
          headers: {
            authorization: `Bearer ${this.apiKey}`,
            ...(content !== undefined && { 'content-type': 'application/json' }),
            ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
            ...(onBehalfOf !== undefined && { 'on-behalf-of': onBehalfOf }),
          },
          ...(content !== undefined && { body: JSON.stringify(content) }),
        })
        const text = await response.text()
        if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
        problem = `${method} ${path}: ${response.status} ${text}`
        if (!passing.has(response.status) && !(missingPasses && response.status === 404))
          throw Object.assign(new Error(problem), { final: true })
      } catch (error) {
        if ((error as { final?: boolean }).final === true) throw error
        problem = `${method} ${path}: ${(error as Error).message}`
      }
      if (Date.now() > deadline) throw new Error(problem)
      await sleep(250)
    }
  }
}

/** Sends to people one after another until it is told to stop. */
export class Load {
  readonly people: Person[] = []
  private readonly acting: Promise<void>[] = []
  private readonly failures: string[] = []
  private going = true
  private running: Promise<void> = Promise.resolve()

  constructor(
    private readonly client: Client,
    private readonly connection: KafkaConnection,
    private readonly workspaceId: string,
    private readonly sequenceIdOf: (sendId: string, userId: string) => string,
  ) {}

  /** Sends so many a second. */
  start(perSecond: number): void {
    this.running = (async () => {
      for (let n = 0; this.going; n++) {
        await this.send(n).catch((error: Error) => this.failures.push(error.message))
        await sleep(1_000 / perSecond)
      }
    })()
  }

  /** Stops sending and waits until everybody has done what they do. @returns what went wrong */
  async stop(): Promise<readonly string[]> {
    this.going = false
    await this.running
    await Promise.all(this.acting)
    return this.failures
  }

  private async send(n: number): Promise<void> {
    const script = scripts[n % scripts.length]!
    const userId = `user-${n % people}`
    const variables = { orderNo: String(n) }
    let sendId = `kafka-${n}`
    if (script.via === 'http') {
      const answer = await this.client.call<{ sendId: string }>('POST', '/v1/sends', {
        idempotencyKey: `http-${n}`,
        body: { templateId: script.templateId, receivers: [{ userId }], variables },
      })
      sendId = answer.sendId
    } else {
      const producer = await this.connection.producer()
      await producer.send(topics.sends, [
        {
          key: `any-${n}`,
          value: {
            workspaceId: this.workspaceId,
            sendId,
            userId,
            templateId: script.templateId,
            templateVersion: null,
            campaignId: null,
            variables,
            tag: null,
            source: null,
            requestedAt: Date.now(),
          },
        },
      ])
    }
    const person = { userId, sendId, sequenceId: this.sequenceIdOf(sendId, userId), script }
    this.people.push(person)
    if (script.act)
      this.acting.push(script.act(this.client, person).catch((error: Error) => void this.failures.push(`${script.name}: ${error.message}`)))
  }
}
