// What a client may write as a template: shapes, sizes and defaults. Rules between fields are in rules.ts.
import { z } from 'zod'
import { channelTypes, type ChannelType, type StopCondition } from '@stepcast/contracts'
import {
  categories,
  feedMinutesAtMost,
  limits,
  sequenceDefaults,
  variableNamePattern,
  variableTypes,
  waitMinutesAllowed,
  type TemplateDefinition,
  type WaitMinutes,
} from '@stepcast/template'
import { namedTexts, templateIdField } from '@stepcast/service'
import { ruleProblems } from './rules'

/** Text of `min` to `max` characters. */
const text = (min: number, max: number): z.ZodString => z.string().min(min).max(max)

// Longer URLs are cut by clients and refused by providers.
const urlOrNull = text(1, 2_048).nullable().default(null)

// Five buttons are what KakaoTalk shows; more than that no feed shows well either.
const buttons = z
  .array(
    z.strictObject({
      id: z
        .string()
        .regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 of a-z A-Z 0-9 _ -')
        .describe('Told back with the click'),
      label: text(1, 80),
      url: urlOrNull.describe('http(s), may hold {{variables}}; null: the button only reports the click'),
    }),
  )
  .max(limits.kakao.buttons)
  .default([])

const inApp = z.strictObject({
  title: text(1, 200),
  body: text(1, 4_000),
  imageUrl: urlOrNull,
  buttons,
  expiresInMinutes: z
    .int()
    .min(1)
    .max(feedMinutesAtMost)
    .nullable()
    .optional()
    .describe('The item leaves the feed this many minutes after it came, 129,600 (90 days) at most; null or absent: it is kept 90 days'),
})

// https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages (data); ours name the message to the app.
const reservedDataKey = /^(from$|message_type$|google|gcm|stepcast_)/

const push = z.strictObject({
  title: text(1, 200),
  body: text(1, 1_500),
  url: urlOrNull.describe('Opened by a tap'),
  data: namedTexts((name, value) => {
    if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(name)) return 'must have a name of 1 to 64 of a-z A-Z 0-9 _ . -'
    return value.length > 1_000 ? `must have at most 1000 characters, not ${value.length}` : null
  })
    .refine((data) => Object.keys(data).length <= 20, 'must have at most 20 fields')
    .refine(
      (data) => !Object.keys(data).some((key) => reservedDataKey.test(key)),
      'must not use keys that FCM or Stepcast reserve: from, message_type and whatever begins with google, gcm or stepcast_',
    )
    .default({})
    .describe('Passed to the app as it is'),
})

const sms = z.strictObject({
  body: text(1, limits.sms.characters),
  trackLinks: z.boolean().default(true).describe('Links become short tracked ones'),
})

const kakao = z.strictObject({ senderKey: text(1, 64), templateCode: text(1, 64), body: text(1, limits.kakao.characters), buttons })

const channel = z.discriminatedUnion('channelType', [
  z.strictObject({ channelType: z.literal('in_app'), content: inApp }),
  z.strictObject({ channelType: z.literal('push'), content: push }),
  z.strictObject({ channelType: z.literal('sms'), content: sms }),
  z.strictObject({ channelType: z.literal('kakao'), content: kakao }),
])

const conditionWords = ['delivered', 'viewed', 'clicked', 'read', 'engaged'] as const
type ConditionWord = (typeof conditionWords)[number]
/** `read` and `engaged` are other people's words for `viewed` and `clicked`; stored is ours. */
const canonicalCondition: Readonly<Record<ConditionWord, StopCondition>> = {
  delivered: 'delivered',
  viewed: 'viewed',
  clicked: 'clicked',
  read: 'viewed',
  engaged: 'clicked',
}

const step = z.strictObject({
  channels: z.array(z.enum(channelTypes)).min(1),
  stopCondition: z
    .enum(conditionWords)
    .nullable()
    .default(null)
    .describe('delivered, viewed (also: read), clicked (also: engaged); absent on the last step'),
  waitMinutes: z
    .literal([...waitMinutesAllowed])
    .nullable()
    .default(null)
    .describe('The wait window from the first requested to the next step; absent on the last step'),
})

const sequence = z.strictObject({
  steps: z.array(step).min(1),
  onFailure: z.enum(['advance', 'wait']).default(sequenceDefaults.onFailure),
  lateSignal: z.enum(['stop', 'ignore']).default(sequenceDefaults.lateSignal),
  dispatchTtlMinutes: z
    .int()
    .min(1)
    .max(1_440)
    .default(sequenceDefaults.dispatchTtlMinutes)
    .describe('A step not accepted by its provider within this many minutes is expired'),
})

const config = z
  .strictObject({
    sequenceEnabled: z.boolean().describe('false: a broadcast, every channel at once'),
    sequence: sequence
      .nullable()
      .default(null)
      .describe('Needed when sequenceEnabled is true; checked in shape and dropped when it is false'),
  })
  .default({ sequenceEnabled: false, sequence: null })

const variable = z.strictObject({
  name: z.string().max(64).regex(variableNamePattern, 'must begin with a letter or _ and hold only letters, digits and _'),
  type: z.enum(variableTypes).default('string').describe('image and action hold an http(s) URL'),
  required: z.boolean().default(false).describe('A send without a value is refused, unless there is a default'),
  default: text(0, 4_000).nullable().default(null),
})

const shape = {
  templateId: templateIdField.optional().describe('Made from the name when absent'),
  name: text(1, 120),
  category: z.enum(categories),
  variableSchema: z.array(variable).max(50).default([]),
  channels: z.array(channel).min(1).max(channelTypes.length),
  config,
}

const readOnlyField = z.unknown().optional().describe('Only read: taken and dropped, so that what was read may be sent back')
/** Fields of a stored template that the service writes. */
const readOnly = {
  status: readOnlyField,
  version: readOnlyField,
  hasDraft: readOnlyField,
  createdAt: readOnlyField,
  updatedAt: readOnlyField,
  approvedAt: readOnlyField,
  archivedAt: readOnlyField,
  warnings: readOnlyField,
}

/** The body of POST and PUT: a client sees every mistake of shape at once, then every broken rule at once. */
export const templateBody = z
  .strictObject({ ...shape, ...readOnly })
  .transform((body): { templateId: string | undefined; definition: TemplateDefinition } => ({
    templateId: body.templateId,
    definition: definitionOf(body),
  }))
  .superRefine(({ definition }, context) => {
    for (const { path, message } of ruleProblems(definition)) context.addIssue({ code: 'custom', path, message })
  })

interface WrittenStep {
  channels: ChannelType[]
  stopCondition: ConditionWord | null
  waitMinutes: WaitMinutes | null
}
interface Written extends Omit<TemplateDefinition, 'config'> {
  config: {
    sequenceEnabled: boolean
    sequence: { steps: WrittenStep[]; onFailure: 'advance' | 'wait'; lateSignal: 'stop' | 'ignore'; dispatchTtlMinutes: number } | null
  }
}

/** The canonical form. A sequence switched on but absent becomes one without steps, for the rules to refuse. */
function definitionOf({
  name,
  category,
  variableSchema,
  channels,
  config: { sequenceEnabled, sequence: written },
}: Written): TemplateDefinition {
  const base = { name, category, variableSchema, channels }
  if (!sequenceEnabled) return { ...base, config: { sequenceEnabled, sequence: null } }
  const { steps, ...rules } = written ?? { steps: [], ...sequenceDefaults }
  const canonical = steps.map((each) => ({ ...each, stopCondition: each.stopCondition && canonicalCondition[each.stopCondition] }))
  return { ...base, config: { sequenceEnabled, sequence: { steps: canonical, ...rules } } }
}

/** A templateId made from a name: `Order shipped!` → `order-shipped`; `template` when the name has no letter or digit of a-z 0-9. */
export function templateIdFrom(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
  // 56 characters leave room for a suffix where the id is taken.
  return plain.replace(/^-/, '').slice(0, 56).replace(/-$/, '') || 'template'
}
