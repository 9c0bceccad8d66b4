// What is allowed but unwise: said when a template is written or read, never a reason to refuse.
import {
  isBlank,
  limits,
  nearMisses,
  resolveVariables,
  sequenceDefaults,
  sizesOf,
  variablesIn,
  withoutVariables,
  type TemplateDefinition,
  type Variables,
} from '@stepcast/template'
import { inWords, isUrlField, placeOf, textsOf, withValues } from './contentRules'

/** A warning; `path` is a JSON pointer into the template. */
export interface Warning {
  readonly path: string
  readonly message: string
}

// One SMS segment: 160 characters of the GSM alphabet, 70 as soon as one is outside (most Korean, every emoji).
const gsmSegment = 160
const unicodeSegment = 70
// Less room than this for the values of a text is soon used up: two lines of a text, of Korean in a push.
const scarceCharacters = 100
const scarceBytes = 300
// As long as ids usually are.
const typical = {
  messageId: '00000000-0000-0000-0000-000000000000.1.push',
  workspaceId: 'workspace',
  userId: '00000000-0000-0000-0000-000000000000',
}

/** The warnings of a definition, in the order of its fields. */
export function warningsOf({ channels, config, variableSchema }: TemplateDefinition): Warning[] {
  const warnings: Warning[] = []
  const content = JSON.stringify(channels)
  const used = new Set(variablesIn(content))
  variableSchema.forEach(({ name, required }, i) => {
    if (!used.has(name))
      warnings.push({
        path: `/variableSchema/${i}/name`,
        message: `no content uses {{${name}}}${required ? ', yet sends without it are refused' : ''}`,
      })
  })
  channels.forEach((channel, i) => {
    if (channel.channelType === 'sms') {
      const segment = /^[\x00-\x7f]*$/.test(channel.content.body) ? gsmSegment : unicodeSegment
      if (channel.content.body.length > segment) {
        warnings.push({
          path: `/channels/${i}/content/body`,
          message: `${channel.content.body.length} characters: more than one SMS segment of ${segment}, each is paid`,
        })
      }
    }
    if (channel.channelType === 'kakao') {
      channel.content.buttons.forEach(({ label }, b) => {
        const room = limits.kakao.labelCharacters - withoutVariables(label, '').length
        if (variablesIn(label).length > 0)
          warnings.push({
            path: `/channels/${i}/content/buttons/${b}/label`,
            message: `KakaoTalk takes ${limits.kakao.labelCharacters} characters: with values of more than ${Math.max(0, room)} the message is not sent (too_large)`,
          })
      })
    }
  })
  warnings.push(...textWarnings({ channels, variableSchema }), ...sizeWarnings({ channels, variableSchema }))
  if (!config.sequenceEnabled) return warnings
  const { steps, dispatchTtlMinutes } = config.sequence
  channels.forEach((channel, i) => {
    if (channel.channelType !== 'in_app') return
    const { expiresInMinutes } = channel.content
    const waitMinutes = steps.find((step) => step.channels.includes('in_app'))?.waitMinutes
    if (expiresInMinutes && waitMinutes && expiresInMinutes < waitMinutes) {
      warnings.push({
        path: `/channels/${i}/content/expiresInMinutes`,
        message: `the item leaves the feed after ${expiresInMinutes} minutes, before the ${waitMinutes} of its step have passed`,
      })
    }
  })
  steps.forEach((step, s) => {
    if (step.stopCondition === 'delivered' && step.channels.includes('push')) {
      warnings.push({
        path: `/config/sequence/steps/${s}/stopCondition`,
        message:
          'only the app can tell what reached the device: unless it reports (POST /v1/push/{messageId}/delivered), every window elapses',
      })
    }
    // Only above the default: a person who raised it has not thought of the window, one who left it has nothing to learn.
    if (step.waitMinutes !== null && dispatchTtlMinutes > sequenceDefaults.dispatchTtlMinutes && dispatchTtlMinutes > step.waitMinutes) {
      warnings.push({
        path: '/config/sequence/dispatchTtlMinutes',
        message: `an unanswered step holds it up ${dispatchTtlMinutes} minutes, longer than the ${step.waitMinutes} of step ${s + 1}`,
      })
    }
  })
  if (steps.length === 1)
    warnings.push({ path: '/config/sequence/steps', message: 'one step with all channels is a broadcast: nothing is saved' })
  return warnings
}

type Content = Pick<TemplateDefinition, 'channels' | 'variableSchema'>

const pointer = (path: readonly (string | number)[]): string => path.map((step) => `/${step}`).join('')

/** Texts that say something else than was probably meant, or nothing. */
function textWarnings({ channels, variableSchema }: Content): Warning[] {
  const names = variableSchema.map(({ name }) => name)
  const optional = new Set(variableSchema.filter((one) => !one.required && one.default === null).map(({ name }) => name))
  const isOptional = (text: string): boolean => variablesIn(text).length > 0 && variablesIn(text).every((name) => optional.has(name))
  return textsOf(channels).flatMap(({ path, text }): Warning[] => {
    const at = pointer(path)
    const warnings = nearMisses(text, names).map(({ written, name }): Warning => {
      const isTriple = written.startsWith('{{{')
      return {
        path: at,
        message: `"${written}" is sent ${isTriple ? 'with a brace on each side of the value' : 'as it stands'}: write {{${name}}}`,
      }
    })
    const isKakao = channels[path[1] as number]?.channelType === 'kakao'
    if (path.at(-1) === 'body' && path.length === 4 && isOptional(text) && isBlank(withoutVariables(text, ''))) {
      warnings.push({ path: at, message: 'without values nothing is left of it, and the message is not sent (empty)' })
    }
    if (isUrlField(path) && path.at(-1) === 'url' && text.startsWith('{{') && optional.has(variablesIn(text)[0] ?? '')) {
      const what = isKakao ? 'the message is not sent (empty)' : path.includes('buttons') ? 'the button has no link' : 'a tap opens the app'
      warnings.push({ path: at, message: `without a value for {{${variablesIn(text)[0]}}} ${what}` })
    }
    return warnings
  })
}

/** Contents that leave too little room for their values, or none where nobody gives any. */
function sizeWarnings({ channels, variableSchema }: Content): Warning[] {
  const defaults = resolveVariables(variableSchema, {}, {}).variables
  return channels.flatMap((channel, i) => {
    const measured = (values: Variables) => {
      const made = withValues(channel, values, variableSchema)
      return { made, sizes: sizesOf(made.channelType, made.content as never, typical).filter(({ path }) => !path.startsWith('/buttons')) }
    }
    const full = measured(defaults)
    const over = full.sizes.find(({ size, limit }) => size > limit)
    if (over !== undefined) {
      const path = pointer(['channels', i, 'content', ...placeOf(full.made, over)])
      return [{ path, message: `${inWords(over)} with the defaults of its variables; beyond ${over.limit} it is not sent (too_large)` }]
    }
    if (variablesIn(JSON.stringify(channel.content)).length === 0) return []
    const empty = measured({})
    const scarce = empty.sizes.find(({ unit, size, limit }) => limit - size < (unit === 'bytes' ? scarceBytes : scarceCharacters))
    if (scarce === undefined) return []
    const room = Math.max(0, scarce.limit - scarce.size)
    const path = pointer(['channels', i, 'content', ...placeOf(empty.made, scarce)])
    return [{ path, message: `leaves ${room} ${scarce.unit} for the values of its variables: with longer ones it is not sent (too_large)` }]
  })
}
