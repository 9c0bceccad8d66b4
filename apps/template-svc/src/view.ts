// A template as clients see it.
import type { TemplateDefinition } from '@stepcast/template'
import type { ApprovedVersion, Template } from './template.entity'
import { warningsOf, type Warning } from './warnings'

/** A stored template (contracts.md). */
export interface TemplateView extends TemplateDefinition {
  readonly templateId: string
  readonly status: 'draft' | 'approved' | 'archived'
  /** The latest approved or null; of an approved version its own number. */
  readonly version: number | null
  readonly hasDraft: boolean
  readonly createdAt: string
  readonly updatedAt: string
  readonly warnings: readonly Warning[]
}

/** The template as it stands: its draft, else its latest version; or with `frozen` one approved version of it. */
export function viewOf(template: Template, frozen?: ApprovedVersion): TemplateView {
  const { templateId, hasDraft, createdAt, updatedAt } = template
  const { name, category, variableSchema, channels, config } = frozen?.definition ?? template.definition
  return {
    templateId,
    name,
    category,
    variableSchema,
    channels,
    config,
    status: template.archivedAt !== null ? 'archived' : template.version === null ? 'draft' : 'approved',
    version: frozen?.version ?? template.version,
    hasDraft,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    warnings: warningsOf({ name, category, variableSchema, channels, config }),
  }
}

/** A template in a list: its channels without their contents, which may be megabytes. */
export interface ListedTemplate extends Omit<TemplateView, 'channels'> {
  readonly channels: readonly { readonly channelType: TemplateDefinition['channels'][number]['channelType'] }[]
}

/** A template for a list. */
export function listedViewOf(template: Template): ListedTemplate {
  const { channels, ...view } = viewOf(template)
  return { ...view, channels: channels.map(({ channelType }) => ({ channelType })) }
}

/** One approved version in the list of versions. */
export interface VersionView extends TemplateDefinition {
  readonly templateId: string
  readonly version: number
  readonly approvedAt: string
}

/** A version for the list of versions. */
export const versionViewOf = ({ templateId, version, definition, approvedAt }: ApprovedVersion): VersionView => ({
  templateId,
  version,
  ...definition,
  approvedAt: approvedAt.toISOString(),
})
