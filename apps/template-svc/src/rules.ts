// The rules between the fields of a template (product rules 1 to 7): which field, what is wrong, what is allowed.
import type { ChannelType } from '@stepcast/contracts'
import { isPlainHttpUrl, waitMinutesAllowed, type SequenceConfig, type TemplateDefinition, type Variable } from '@stepcast/template'
import { contentProblems, limitProblems, type RuleProblem } from './contentRules'

/** The channels that can tell that a person saw the message (rule 7). */
const viewable: ReadonlySet<ChannelType> = new Set(['in_app'])

/** Every rule the definition breaks; empty when it may be approved. */
export function ruleProblems(definition: TemplateDefinition): RuleProblem[] {
  return [
    ...variableProblems(definition.variableSchema),
    ...channelProblems(definition.channels),
    ...contentProblems(definition),
    ...limitProblems(definition),
    ...sequenceProblems(definition),
  ]
}

function variableProblems(schema: readonly Variable[]): RuleProblem[] {
  return schema.flatMap((variable, i) => {
    const problems: RuleProblem[] = []
    if (schema.findIndex(({ name }) => name === variable.name) < i) {
      problems.push({ path: ['variableSchema', i, 'name'], message: `"${variable.name}" is there twice; names must be unique` })
    }
    if (variable.type !== 'string' && variable.default !== null && !isPlainHttpUrl(variable.default)) {
      problems.push({
        path: ['variableSchema', i, 'default'],
        message: `must be an http:// or https:// URL without a user name, since the type is ${variable.type}`,
      })
    }
    return problems
  })
}

function channelProblems(channels: TemplateDefinition['channels']): RuleProblem[] {
  return channels.flatMap(({ channelType, content }, i) => {
    const problems: RuleProblem[] = []
    if (channels.findIndex((other) => other.channelType === channelType) < i) {
      problems.push({ path: ['channels', i, 'channelType'], message: `${channelType} is there twice; each channel may appear once` })
    }
    const buttons = 'buttons' in content ? content.buttons : []
    buttons.forEach(({ id }, b) => {
      if (buttons.findIndex((other) => other.id === id) < b) {
        problems.push({
          path: ['channels', i, 'content', 'buttons', b, 'id'],
          message: `"${id}" is there twice; ids must be unique in a channel`,
        })
      }
    })
    return problems
  })
}

function sequenceProblems({ channels, config }: TemplateDefinition): RuleProblem[] {
  if (!config.sequenceEnabled) return []
  const { steps } = config.sequence
  const at = (...path: (string | number)[]): (string | number)[] => ['config', 'sequence', ...path]
  if (steps.length === 0) return [{ path: ['config', 'sequence'], message: 'must give the steps, since sequenceEnabled is true' }]
  const problems: RuleProblem[] = []
  const offered = channels.map(({ channelType }) => channelType)
  if (offered.length < 2) {
    problems.push({
      path: ['config', 'sequenceEnabled'],
      message: `a sequence needs at least two channels; the template has ${offered.length}`,
    })
  }
  const seen = new Set<ChannelType>()
  steps.forEach((step, s) =>
    step.channels.forEach((channel, c) => {
      if (!offered.includes(channel))
        problems.push({ path: at('steps', s, 'channels', c), message: `${channel} is no channel of this template (${offered.join(', ')})` })
      else if (seen.has(channel))
        problems.push({
          path: at('steps', s, 'channels', c),
          message: `${channel} is in the steps twice; each channel must be in exactly one step`,
        })
      seen.add(channel)
    }),
  )
  const left = offered.filter((channel) => !seen.has(channel))
  if (left.length > 0) problems.push({ path: at('steps'), message: `must cover every channel exactly once; missing: ${left.join(', ')}` })
  steps.forEach((step, s) => problems.push(...stepProblems(step, at('steps', s), s === steps.length - 1)))
  return problems
}

function stepProblems(step: SequenceConfig['steps'][number], path: (string | number)[], last: boolean): RuleProblem[] {
  const problems: RuleProblem[] = []
  const condition = [...path, 'stopCondition']
  const wait = [...path, 'waitMinutes']
  if (last) {
    if (step.stopCondition !== null) problems.push({ path: condition, message: 'must be absent: the last step is terminal' })
    if (step.waitMinutes !== null) problems.push({ path: wait, message: 'must be absent: the last step is terminal' })
    return problems
  }
  if (step.stopCondition === null)
    problems.push({ path: condition, message: 'must be delivered, viewed or clicked: only the last step has none' })
  if (step.waitMinutes === null)
    problems.push({ path: wait, message: `must be one of ${waitMinutesAllowed.join(', ')} (minutes): only the last step has none` })
  const blind = step.channels.filter((channel) => !viewable.has(channel))
  if (step.stopCondition === 'viewed' && blind.length > 0) {
    problems.push({
      path: condition,
      message: `viewed exists for in_app only, and this step has ${blind.join(', ')}; use delivered or clicked`,
    })
  }
  return problems
}
