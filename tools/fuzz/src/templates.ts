// The templates of both workspaces: each a way that a sequence can go, and all channels among them.
import type { Api } from '@stepcast/chaos'

const url = 'https://shop.example/{{orderNo}}'
const contents = {
  in_app: { title: 'Shipped', body: 'Order {{orderNo}} is on its way.', imageUrl: null, buttons: [] },
  push: { title: 'Shipped', body: 'Order {{orderNo}}', url, data: {} },
  sms: { body: `Order {{orderNo}}: ${url}`, trackLinks: true },
  kakao: { senderKey: 'shop', templateCode: 'shipped', body: 'Order {{orderNo}}', buttons: [{ id: 'track', label: 'Track', url }] },
} as const
type Channel = keyof typeof contents

/** A window that nobody outwaits, and one that is soon over, in "minutes". */
const patient = 1_440
const brief = 5

const step = (channels: readonly Channel[], stopCondition?: string, waitMinutes?: number) => ({
  channels,
  ...(stopCondition !== undefined && { stopCondition, waitMinutes }),
})

/** Steps by template; null: a broadcast over all channels. */
const plans = {
  'feed-first': [step(['in_app'], 'viewed', patient), step(['push'])],
  'quick-chain': [step(['in_app'], 'viewed', brief), step(['push'], 'clicked', brief), step(['sms'], 'clicked', brief), step(['kakao'])],
  'push-first': [step(['push'], 'clicked', patient), step(['in_app'])],
  'text-first': [step(['sms'], 'clicked', patient), step(['in_app'])],
  'kakao-first': [step(['kakao'], 'clicked', patient), step(['in_app'])],
  steady: [step(['in_app'], 'viewed', brief), step(['push', 'sms', 'kakao'])],
  wide: null,
  probe: [step(['in_app'], 'viewed', brief), step(['push'])],
  'probe-patient': [step(['in_app'], 'viewed', patient), step(['push'])],
} as const
/** The name of a template. */
export type TemplateName = keyof typeof plans

/** Of the neighbour. */
export const neighbourTemplates: readonly TemplateName[] = ['feed-first', 'quick-chain', 'push-first', 'text-first', 'kakao-first']

/** Makes and approves a template. */
export async function approve(api: Api, templateId: TemplateName): Promise<void> {
  const steps = plans[templateId]
  const channels = steps === null ? (Object.keys(contents) as Channel[]) : [...new Set(steps.flatMap((one) => one.channels))]
  const body = {
    templateId,
    name: templateId,
    category: 'Transactional',
    variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
    channels: channels.map((channelType) => ({ channelType, content: contents[channelType] })),
    // Nothing expires: whatever comes late must come all the same.
    config: steps === null ? { sequenceEnabled: false } : { sequenceEnabled: true, sequence: { steps, dispatchTtlMinutes: patient } },
  }
  await api.call('POST', '/v1/templates', { body, idempotencyKey: templateId })
  await api.call('POST', `/v1/templates/${templateId}/approve`, { idempotencyKey: `${templateId}-approve` })
}
