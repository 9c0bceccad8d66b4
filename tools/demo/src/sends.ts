// What the brand does: a template, its users with numbers and devices, and the sends, over HTTP and over Kafka, some of them twice.
import { isDeepStrictEqual } from 'node:util'
import { sendIdOf, sequenceIdOf } from '@stepcast/contracts'
import { Turns, type Api } from './api'
import { accountOf, type Account } from './ledger'
import { buttonId } from './life'
import type { Outsider, Stored } from './outside'
import { devicesOf, kakaoPhoneNumberOf, phoneNumberOf, type Person } from './people'

/** The shortest window there is. */
export const waitMinutes = 5

const shopUrl = 'https://shop.example/orders/{{orderNo}}'
const text = 'Order {{orderNo}} is on its way.'
const buttons = [{ id: buttonId, label: 'Track it', url: shopUrl }]

/** Makes and approves the four-step template: the feed first, then whatever costs more for whoever has not been reached. */
export async function makeTemplate(api: Api, templateId: string): Promise<void> {
  await api.call('POST', '/v1/templates', {
    idempotencyKey: `${templateId}-make`,
    body: {
      templateId,
      name: 'Demo: order shipped',
      category: 'Transactional',
      variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
      channels: [
        { channelType: 'in_app', content: { title: 'Shipped', body: text, imageUrl: null, buttons } },
        { channelType: 'push', content: { title: 'Shipped', body: text, url: shopUrl, data: {} } },
        { channelType: 'sms', content: { body: `${text} ${shopUrl}`, trackLinks: true } },
        { channelType: 'kakao', content: { senderKey: 'demo-shop', templateCode: 'order-shipped', body: text, buttons } },
      ],
      config: {
        sequenceEnabled: true,
        sequence: {
          steps: [
            { channels: ['in_app'], stopCondition: 'viewed', waitMinutes },
            { channels: ['push'], stopCondition: 'clicked', waitMinutes },
            { channels: ['sms'], stopCondition: 'clicked', waitMinutes },
            { channels: ['kakao'] },
          ],
        },
      },
    },
  })
  await api.call('POST', `/v1/templates/${templateId}/approve`, { idempotencyKey: `${templateId}-approve` })
}

/** Registers everybody with their numbers, devices and preferences. @param onDone called with how many are done */
export async function registerPeople(api: Api, people: readonly Person[], onDone: (n: number) => void): Promise<void> {
  let done = 0
  await Promise.all(
    people.map(async (person) => {
      const path = `/v1/users/${person.userId}`
      const timezone = person.conduct === 'asleep' ? sleepersZone : null
      await api.call('PUT', path, {
        body: { phoneNumber: phoneNumberOf(person), kakaoPhoneNumber: kakaoPhoneNumberOf(person), locale: 'en', timezone },
      })
      for (const { deviceId, ...device } of devicesOf(person)) await api.call('PUT', `${path}/devices/${deviceId}`, { body: device })
      const optOut = { channels: person.smsNumber === 'optedOut' ? ['sms'] : [] }
      const quietHours = person.conduct === 'asleep' ? quietHoursAt(new Date()) : null
      if (optOut.channels.length > 0 || quietHours !== null) await api.call('PUT', `${path}/preferences`, { body: { optOut, quietHours } })
      onDone(++done)
    }),
  )
}

/** Where the demo's sleepers live: one of the zones that never change their clocks. */
const sleepersZone = 'Asia/Seoul'
const hourMs = 3_600_000

/** Quiet hours that hold now and for as long as any demo lasts, by the clocks there. */
function quietHoursAt(now: Date): { start: string; end: string } {
  const clock = (hoursFromNow: number): string =>
    new Date(now.getTime() + hoursFromNow * hourMs).toLocaleTimeString('en-GB', {
      timeZone: sleepersZone,
      hour: '2-digit',
      minute: '2-digit',
    })
  return { start: clock(-2), end: clock(4) }
}

/** Sends of one request or one producer. */
export interface Wave {
  readonly sendId: string
  readonly accounts: readonly Account[]
  /** Of HTTP sends; null: over Kafka. */
  readonly idempotencyKey: string | null
}

/** Parts the people into waves of the given size; those of Kafka have one sendId together. */
export function wavesOf(people: readonly Person[], size: number, workspaceId: string, run: string): Wave[] {
  const waves: Wave[] = []
  for (const route of ['http', 'kafka'] as const) {
    const onRoute = people.filter((person) => person.route === route)
    for (let begin = 0; begin < onRoute.length; begin += size) {
      const idempotencyKey = route === 'http' ? `${run}-wave-${begin / size + 1}` : null
      const sendId = idempotencyKey === null ? `${run}-kafka` : sendIdOf(workspaceId, idempotencyKey)
      const accounts = onRoute
        .slice(begin, begin + size)
        .map((person) => accountOf(person, sendId, sequenceIdOf(workspaceId, sendId, person.userId)))
      waves.push({ sendId, idempotencyKey, accounts })
    }
  }
  return waves
}

const orderNoOf = ({ userId }: Person): string => userId.replace('demo-', '')

/** The answer of `POST /v1/sends`, as far as it is read. */
interface SendAnswer {
  readonly sendId: string
  readonly accepted: number
  readonly duplicates: number
}

/**
 * Sends a wave over HTTP, twice with the same Idempotency-Key, as a client does that lost the first answer; one receiver is named twice.
 * @returns what is wrong with the answers; empty when nothing is
 */
export async function sendOverHttp(api: Api, templateId: string, { accounts, sendId, idempotencyKey }: Wave): Promise<string[]> {
  const receivers = accounts.map(({ person }) => ({ userId: person.userId, variables: { orderNo: orderNoOf(person) } }))
  const call = { idempotencyKey: idempotencyKey!, body: { templateId, receivers: [...receivers, receivers[0]], tag: 'demo' } }
  const first = await api.call<SendAnswer>('POST', '/v1/sends', call)
  const again = await api.call<SendAnswer>('POST', '/v1/sends', call)
  return [
    ...(isDeepStrictEqual(first, again) ? [] : [`the second answer differs from the first: ${JSON.stringify([first, again])}`]),
    ...(first.sendId === sendId && first.accepted === accounts.length && first.duplicates === 1
      ? []
      : [`expected sendId ${sendId}, accepted ${accounts.length} and duplicates 1, not ${JSON.stringify(first)}`]),
  ]
}

// What a producer that waits for nobody has in flight.
const inFlight = 20

/** How many people of a Kafka wave are sent to twice. */
export const repeatedPerWave = 10

/** Sends a wave over Kafka, its first people twice. @param onSent called for everybody once Kafka has it */
export async function sendOverKafka(
  outsider: Outsider,
  workspaceId: string,
  templateId: string,
  { accounts, sendId }: Wave,
  onSent: (account: Account) => void,
): Promise<void> {
  const turns = new Turns(inFlight)
  const send = ({ person }: Account): Promise<Stored> =>
    outsider.send({ workspaceId, sendId, userId: person.userId, templateId, variables: { orderNo: orderNoOf(person) }, tag: 'demo' })
  await Promise.all(
    accounts.map((account) =>
      turns.take(async () => {
        await send(account)
        onSent(account)
      }),
    ),
  )
  await Promise.all(accounts.slice(0, repeatedPerWave).map(send))
}

/** A record that nobody can use. */
export interface Malformed {
  readonly stored: Stored
  /** The reason its dead letter must give; null: any. */
  readonly reason: string | null
}

/** Sends that mean nothing: well-formed records that no one can carry out. */
export async function sendNonsense(outsider: Outsider, workspaceId: string, templateId: string): Promise<Malformed[]> {
  const send = { workspaceId, sendId: `${templateId}-nonsense`, userId: 'demo-nobody', templateId, variables: { orderNo: '1' } }
  return Promise.all(
    [
      { reason: 'unknown_template', send: { ...send, templateId: `${templateId}-never-made` } },
      { reason: 'missing_variables', send: { ...send, variables: {} } },
      { reason: 'invalid_send', send: { ...send, userId: 'demo\u0000nobody' } },
    ].map(async ({ reason, send: nonsense }) => ({ reason, stored: await outsider.send(nonsense) })),
  )
}

/** Who has been sent to, as far as the product or Kafka has said so. */
export class Sent {
  count = 0
  private readonly waiting = new Map<string, { promise: Promise<void>; done: () => void }>()

  constructor(accounts: readonly Account[]) {
    for (const { sequenceId } of accounts) {
      let done!: () => void
      const promise = new Promise<void>((resolve) => (done = resolve))
      this.waiting.set(sequenceId, { promise, done })
    }
  }

  /** Resolves when this person has been sent to. */
  of({ sequenceId }: Account): Promise<void> {
    return this.waiting.get(sequenceId)!.promise
  }

  note({ sequenceId }: Account): void {
    this.count++
    this.waiting.get(sequenceId)!.done()
  }
}
