// What a person would get: the content rendered with values given for trial, its sizes, and what would keep it from being sent.
import {
  contentProblem,
  rendered,
  resolveVariables,
  sizesOf,
  type PushNames,
  type Size,
  type TemplateChannel,
  type TemplateDefinition,
  type Variables,
} from '@stepcast/template'
import { tracked } from './contentRules'
import { warningsOf, type Warning } from './warnings'

/** A rendered template. */
export interface Preview {
  readonly channels: readonly TemplateChannel[]
  /** Required variables without a value: a send would be refused with these names. They stay visible as `{{name}}`. */
  readonly missing: readonly string[]
  /** How large each channel's message is, links counted as the tracked ones they become. A push's by each provider, for a userId of 36 characters. */
  readonly sizes: readonly (Size & { readonly channelType: TemplateChannel['channelType'] })[]
  /** Those of the template, and what these values bring: what is not sent, and why. */
  readonly warnings: readonly Warning[]
}

/** Whose preview it is, and where its tracked links would be. */
export interface PreviewOf {
  readonly workspaceId: string
  readonly publicUrl: string
}

/** Renders every channel; optional variables without a value render as nothing, as they would when sent. */
export function previewOf(definition: TemplateDefinition, given: Variables, { workspaceId, publicUrl }: PreviewOf): Preview {
  const { channels, variableSchema: schema } = definition
  const { variables, missing } = resolveVariables(schema, {}, given)
  const names: PushNames = { messageId: '00000000-0000-0000-0000-000000000000.1.push', workspaceId, userId: '0'.repeat(36) }
  const made = channels.map((channel, i) => {
    const { content, faults } = rendered(channel.content, variables, { schema, missing })
    const one = { ...channel, content } as TemplateChannel
    const measured = tracked(one, publicUrl)
    const sizes = sizesOf(measured.channelType, measured.content as never, names).map((size) => ({
      ...size,
      channelType: channel.channelType,
      path: `/channels/${i}/content${size.path}`,
    }))
    const warnings: Warning[] = faults.map(({ path, reason }) => ({
      path: `/channels/${i}/content${path.map((step) => `/${step}`).join('')}`,
      message:
        reason === 'no_address'
          ? 'is no address with these values'
          : 'would lead to another server with these values, or is no http(s) address: it is not sent (unsafe_address)',
    }))
    const problem = contentProblem(one.channelType, one.content as never, faults)
    if (problem === 'empty')
      warnings.push({ path: `/channels/${i}/content/body`, message: 'nothing is left to read with these values: it is not sent (empty)' })
    for (const { path, size, limit, unit, provider } of sizes.filter((one) => one.size > one.limit)) {
      warnings.push({
        path,
        message: `has ${size} ${unit} with these values${provider === undefined ? '' : ` as ${provider} counts them`}, at most ${limit}: it is not sent (too_large)`,
      })
    }
    return { one, sizes, warnings }
  })
  return {
    channels: made.map(({ one }) => one),
    missing,
    sizes: made.flatMap(({ sizes }) => sizes),
    warnings: [...warningsOf(definition), ...made.flatMap(({ warnings }) => warnings)],
  }
}
