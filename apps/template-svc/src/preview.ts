// What a person would get: the content rendered with values given for trial.
import { render, renderPreview, resolveVariables, type TemplateChannel, type TemplateDefinition, type Variables } from '@stepcast/template'

/** A rendered template. */
export interface Preview {
  readonly channels: readonly TemplateChannel[]
  /** Required variables without a value: a send would be refused with these names. They stay visible as `{{name}}`. */
  readonly missing: readonly string[]
}

/** Renders every channel; optional variables without a value render as nothing, as they would when sent. */
export function previewOf({ channels, variableSchema }: TemplateDefinition, given: Variables): Preview {
  const { variables, missing } = resolveVariables(variableSchema, {}, given)
  const rendered = missing.length === 0 ? render(channels, variables) : renderPreview(channels, variables, missing)
  return { channels: rendered, missing }
}
