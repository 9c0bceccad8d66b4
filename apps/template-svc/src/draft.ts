// What a client may write as a template: shapes, sizes and defaults. Rules between fields are in rules.ts.
import { z } from 'zod'
import { channelTypes, templateIdPattern, type ChannelType, type StopCondition } from '@stepcast/contracts'
import {
  categories, sequenceDefaults, variableNamePattern, variableTypes, waitMinutesAllowed, type TemplateDefinition, type WaitMinutes,
} from '@stepcast/template'
import { ruleProblems } from './rules'

// PostgreSQL's jsonb takes neither, and no channel can show them.
const unstorable = /\u0000|\p{Surrogate}/u

/** Text of `min` to `max` characters that can be stored. */
const text = (min: number, max: number): z.ZodString =>
  z.string(`must be a text of ${min} to ${max} characters`)
    .min(min, `must have at least ${min} character${min === 1 ? '' : 's'}`)
    .max(max, `must have at most ${max} characters`)
    .refine((value) => !unstorable.test(value), 'must not hold NUL or broken surrogate characters')

// A URL in content: longer ones are cut by clients and refused by providers.
const url = text(1, 2_048)
const urlOrNull = url.nullable().default(null)

const oneOf = <const T extends readonly [string, ...string[]]>(values: T): z.ZodEnum<{ [K in T[number]]: K }> =>
  z.enum(values, `must be one of ${values.join(', ')}`)

// Five buttons are what KakaoTalk shows; more than that no feed shows well either.
const buttons = z.array(z.strictObject({
  id: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 of a-z A-Z 0-9 _ -').describe('Told back with the click'),
  label: text(1, 80),
  url: urlOrNull.describe('http(s), may hold {{variables}}; null: the button only reports the click'),
}), 'must be a list of at most 5 buttons').max(5, 'must have at most 5 buttons').default([])

const inApp = z.strictObject({ title: text(1, 200), body: text(1, 4_000), imageUrl: urlOrNull, buttons })

const push = z.strictObject({
  title: text(1, 200),
  // FCM and APNs take 4,096 bytes for the whole payload.
  body: text(1, 1_500),
  url: urlOrNull.describe('Opened by a tap'),
  data: z.record(z.string().regex(/^[a-zA-Z0-9_.-]{1,64}$/, 'keys must be 1 to 64 of a-z A-Z 0-9 _ . -'), text(0, 1_000), 'must be an object of texts')
    .refine((data) => Object.keys(data).length <= 20, 'must have at most 20 entries').default({}).describe('Passed to the app as it is'),
})

// 1,600 characters are the most a Twilio-compatible provider takes in one request.
const sms = z.strictObject({ body: text(1, 1_600), trackLinks: z.boolean('must be true or false').default(true) })

// 1,000 characters are Alimtalk's limit.
const kakao = z.strictObject({ senderKey: text(1, 64), templateCode: text(1, 64), body: text(1, 1_000), buttons })

const channel = z.discriminatedUnion('channelType', [
  z.strictObject({ channelType: z.literal('in_app'), content: inApp }),
  z.strictObject({ channelType: z.literal('push'), content: push }),
  z.strictObject({ channelType: z.literal('sms'), content: sms }),
  z.strictObject({ channelType: z.literal('kakao'), content: kakao }),
], { error: (issue) => (issue.code === 'invalid_union' ? `channelType must be one of ${channelTypes.join(', ')}` : undefined) })

const conditionWords = ['delivered', 'viewed', 'clicked', 'read', 'engaged'] as const
/** `read` and `engaged` are other people's words for `viewed` and `clicked`; stored is ours. */
const canonicalCondition: Readonly<Record<(typeof conditionWords)[number], StopCondition>> =
  { delivered: 'delivered', viewed: 'viewed', clicked: 'clicked', read: 'viewed', engaged: 'clicked' }

const step = z.strictObject({
  channels: z.array(oneOf(channelTypes), 'must be a list of channels').min(1, 'must name at least one channel'),
  stopCondition: z.enum(conditionWords, 'must be delivered, viewed or clicked').nullable().default(null)
    .describe('delivered, viewed (also: read), clicked (also: engaged); absent on the last step'),
  waitMinutes: z.literal([...waitMinutesAllowed], `must be one of ${waitMinutesAllowed.join(', ')} (minutes)`).nullable().default(null)
    .describe('The wait window from the first requested to the next step; absent on the last step'),
})

const ttlMessage = 'must be a whole number from 1 to 1440 (minutes)'
const sequence = z.strictObject({
  steps: z.array(step, 'must be a list of steps').min(1, 'must have at least one step'),
  onFailure: oneOf(['advance', 'wait']).default(sequenceDefaults.onFailure),
  lateSignal: oneOf(['stop', 'ignore']).default(sequenceDefaults.lateSignal),
  dispatchTtlMinutes: z.int(ttlMessage).min(1, ttlMessage).max(1_440, ttlMessage).default(sequenceDefaults.dispatchTtlMinutes),
})

const config = z.strictObject({
  sequenceEnabled: z.boolean('must be true or false').describe('false: a broadcast, every channel at once'),
  sequence: sequence.nullable().default(null).describe('Needed when sequenceEnabled is true; dropped when it is false'),
}).default({ sequenceEnabled: false, sequence: null })

const variable = z.strictObject({
  name: z.string().max(64, 'must have at most 64 characters').regex(variableNamePattern, 'must begin with a letter or _ and hold only letters, digits and _'),
  type: oneOf(variableTypes).default('string').describe('image and action hold an http(s) URL'),
  required: z.boolean('must be true or false').default(false).describe('A send without a value is refused, unless there is a default'),
  default: text(0, 4_000).nullable().default(null),
})

// A client may send back what it read: fields that only the service writes are taken and dropped.
const readOnly = Object.fromEntries(
  ['status', 'version', 'hasDraft', 'createdAt', 'updatedAt', 'archivedAt', 'approvedAt', 'warnings'].map((name) => [name, z.unknown().optional().meta({ readOnly: true })]),
)

/** The body of POST and PUT: checked in one go, so that a client sees every mistake of shape at once, then every broken rule at once. */
export const templateBody = z.strictObject({
  templateId: z.string().regex(templateIdPattern, 'must be 1 to 64 of a-z 0-9 _ -, beginning with a letter or digit').optional()
    .describe('Made from the name when absent'),
  name: text(1, 120),
  category: oneOf(categories),
  variableSchema: z.array(variable, 'must be a list of variables').max(50, 'must have at most 50 variables').default([]),
  channels: z.array(channel, 'must be a list of channels').min(1, 'must have at least one channel').max(channelTypes.length, `must have at most ${channelTypes.length} channels`),
  config,
  ...readOnly,
}).transform((body) => ({ templateId: body.templateId, definition: definitionOf(body) }))
  .superRefine(({ definition }, context) => {
    for (const { path, message } of ruleProblems(definition)) context.addIssue({ code: 'custom', path, message })
  })

interface Body {
  name: string
  category: TemplateDefinition['category']
  variableSchema: TemplateDefinition['variableSchema']
  channels: TemplateDefinition['channels']
  config: {
    sequenceEnabled: boolean
    sequence: {
      steps: { channels: ChannelType[]; stopCondition: (typeof conditionWords)[number] | null; waitMinutes: WaitMinutes | null }[]
      onFailure: 'advance' | 'wait'
      lateSignal: 'stop' | 'ignore'
      dispatchTtlMinutes: number
    } | null
  }
}

/** The canonical form. A sequence switched on but absent stays `{ steps: [] }`, for the rules to refuse. */
function definitionOf({ name, category, variableSchema, channels, config: { sequenceEnabled, sequence: written } }: Body): TemplateDefinition {
  const base = { name, category, variableSchema, channels }
  if (!sequenceEnabled) return { ...base, config: { sequenceEnabled, sequence: null } }
  const { steps, ...rules } = written ?? { steps: [], ...sequenceDefaults }
  const canonical = steps.map((each) => ({ ...each, stopCondition: each.stopCondition && canonicalCondition[each.stopCondition] }))
  return { ...base, config: { sequenceEnabled, sequence: { steps: canonical, ...rules } } }
}

/** A templateId made from a name: `Order shipped!` → `order-shipped`; null when the name has no letter or digit of a-z 0-9. */
export function templateIdFrom(name: string): string | null {
  const id = name.normalize('NFKD').toLowerCase().replace(/[\u0300-\u036f]/g, '').replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 56).replace(/-$/, '')
  return id === '' ? null : id
}
