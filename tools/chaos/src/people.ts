// Who is sent to and with which templates: small, and together every way a sequence can go.
import type { ChannelType } from '@stepcast/contracts'
import type { Api } from './http'
import type { Random } from './random'

/** How a person can be reached by push. */
export type Devices = 'one' | 'two' | 'none' | 'bad'

/** A person of the load. */
export interface Person {
  readonly userId: string
  readonly devices: Devices
}

/** Draws the people. */
export function peopleOf(random: Random, count: number): Person[] {
  return Array.from({ length: count }, (_, index) => ({
    userId: `user-${index + 1}`,
    devices: random.weighted<Devices>([
      ['one', 70],
      ['two', 10],
      ['none', 10],
      ['bad', 10],
    ]),
  }))
}

/** A number that belongs to nobody: its phone stays silent. */
const numberOf = (userId: string): string => `+12015550${100 + Number(userId.split('-')[1])}`

/** Registers a person with the devices they have; who has none has no number either. */
export async function register(api: Api, { userId, devices }: Person): Promise<void> {
  if (devices === 'none') return void (await api.call('PUT', `/v1/users/${userId}`, { body: { locale: 'en' } }))
  await api.call('PUT', `/v1/users/${userId}`, { body: { phoneNumber: numberOf(userId), kakaoPhoneNumber: numberOf(userId) } })
  for (const device of devices === 'two' ? ['d1', 'd2'] : ['d1']) {
    const token = `${devices === 'bad' ? 'bad' : 'phone'}_${userId}_${device}`
    await api.call('PUT', `/v1/users/${userId}/devices/${device}`, { body: { platform: 'fcm', token } })
  }
}

const inApp = {
  channelType: 'in_app',
  content: {
    title: 'Shipped',
    body: 'Order {{orderNo}} is on its way.',
    imageUrl: null,
    buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/{{orderNo}}' }],
  },
}
const push = {
  channelType: 'push',
  content: { title: 'Shipped', body: 'Order {{orderNo}}', url: 'https://shop.example/{{orderNo}}', data: {} },
}
const sms = { channelType: 'sms', content: { body: 'Order {{orderNo}}: https://shop.example/{{orderNo}}', trackLinks: true } }
const kakao = {
  channelType: 'kakao',
  content: {
    senderKey: 'shop',
    templateCode: 'shipped',
    body: 'Order {{orderNo}}',
    buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/{{orderNo}}' }],
  },
}

const all = [inApp, push, sms, kakao]

interface Step {
  readonly channels: readonly string[]
  readonly stopCondition?: string
  readonly waitMinutes?: number
}

/** A template and how often it is sent. */
export interface Template {
  readonly templateId: string
  readonly weight: number
  /** Its first step's channel. */
  readonly first: ChannelType
  readonly sequence: { readonly steps: readonly Step[]; readonly lateSignal?: string; readonly onFailure?: string } | null
}

/** Channels in both orders, all three conditions, both ways of failing and of late signals, and a broadcast over all channels. */
export const templates: readonly Template[] = [
  {
    templateId: 'feed-viewed',
    weight: 35,
    first: 'in_app',
    sequence: { steps: [{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 5 }, { channels: ['push'] }] },
  },
  {
    templateId: 'feed-clicked',
    weight: 15,
    first: 'in_app',
    sequence: {
      steps: [{ channels: ['in_app'], stopCondition: 'clicked', waitMinutes: 10 }, { channels: ['push'] }],
      lateSignal: 'ignore',
    },
  },
  {
    templateId: 'push-delivered',
    weight: 25,
    first: 'push',
    sequence: { steps: [{ channels: ['push'], stopCondition: 'delivered', waitMinutes: 5 }, { channels: ['in_app'] }], onFailure: 'wait' },
  },
  {
    templateId: 'push-clicked',
    weight: 15,
    first: 'push',
    sequence: { steps: [{ channels: ['push'], stopCondition: 'clicked', waitMinutes: 5 }, { channels: ['in_app'] }] },
  },
  {
    templateId: 'text-clicked',
    weight: 15,
    first: 'sms',
    sequence: { steps: [{ channels: ['sms'], stopCondition: 'clicked', waitMinutes: 5 }, { channels: ['in_app'] }] },
  },
  {
    templateId: 'kakao-delivered',
    weight: 20,
    first: 'kakao',
    sequence: { steps: [{ channels: ['kakao'], stopCondition: 'delivered', waitMinutes: 5 }, { channels: ['sms'] }] },
  },
  {
    // For those who are erased meanwhile: its window, 36 s, is longer than a cancel may take.
    templateId: 'slow',
    weight: 0,
    first: 'in_app',
    sequence: { steps: [{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 60 }, { channels: ['push'] }] },
  },
  { templateId: 'broadcast', weight: 10, first: 'in_app', sequence: null },
]

/** Makes and approves a template, or its next version with another window. */
export async function approve(api: Api, { templateId, sequence }: Template, version = 1): Promise<void> {
  const body = {
    templateId,
    name: templateId,
    category: 'Transactional',
    variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
    // Every channel stands in exactly one step.
    channels: all.filter(({ channelType }) => sequence === null || sequence.steps.some(({ channels }) => channels.includes(channelType))),
    config: sequence === null ? { sequenceEnabled: false } : { sequenceEnabled: true, sequence },
  }
  const idempotencyKey = `${templateId}-${version}`
  if (version === 1) await api.call('POST', '/v1/templates', { body, idempotencyKey })
  else await api.call('PUT', `/v1/templates/${templateId}`, { body: { ...body, templateId: undefined }, idempotencyKey })
  await api.call('POST', `/v1/templates/${templateId}/approve`, { idempotencyKey: `${idempotencyKey}-approve` })
}
