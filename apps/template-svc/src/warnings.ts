// What is allowed but unwise: said when a template is written or read, never a reason to refuse.
import { sequenceDefaults, variablesIn, type TemplateDefinition } from '@stepcast/template'

/** A warning; `path` is a JSON pointer into the template. */
export interface Warning {
  readonly path: string
  readonly message: string
}

// One SMS segment: 160 characters of the GSM alphabet, 70 as soon as one is outside (most Korean, every emoji).
const gsmSegment = 160
const unicodeSegment = 70
// Alimtalk shows 14 characters of a button.
const kakaoLabel = 14

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
        if (label.length > kakaoLabel)
          warnings.push({
            path: `/channels/${i}/content/buttons/${b}/label`,
            message: `KakaoTalk shows ${kakaoLabel} characters of a button`,
          })
      })
    }
  })
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
