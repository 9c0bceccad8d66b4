// The API to read: the merged OpenAPI document as one page that needs no script and nothing from elsewhere.
import type { OpenApiDocument, Operation } from './mergeDocuments'
import { escaped, htmlPage } from './page'

/** Renders a document. */
export function docsPage({ info, paths, components, 'x-stepcast-missing': missing }: OpenApiDocument): string {
  const schemas = components?.schemas ?? {}
  const calls = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
  )
  const groups = groupedByTag(calls)
  return htmlPage(
    `${info.title} API`,
    `
<h1>${escaped(info.title)} API</h1>
<p>${escaped(info.description ?? '').replace(/`([^`]+)`/g, '<code>$1</code>')}</p>
<p><a href="/v1/openapi.json">OpenAPI document</a></p>
${Array.isArray(missing) ? `<p class="bad">Not described, because away: ${escaped(missing.join(', '))}.</p>` : ''}
${[...groups].map(([tag, group]) => `<h2>${escaped(tag)}</h2>${group.map(({ path, method, operation }) => callOf(path, method, operation, schemas)).join('')}`).join('')}`,
  )
}

interface Call {
  path: string
  method: string
  operation: Operation
}

function groupedByTag(calls: readonly Call[]): Map<string, Call[]> {
  const groups = new Map<string, Call[]>()
  for (const call of calls) {
    const tag = call.operation.tags?.[0] ?? 'other'
    groups.set(tag, [...(groups.get(tag) ?? []), call])
  }
  return groups
}

function callOf(path: string, method: string, operation: Operation, schemas: Readonly<Record<string, unknown>>): string {
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema
  const parameters = operation.parameters?.filter((parameter) => parameter.in !== 'header') ?? []
  const scopes = operation['x-stepcast-scopes']?.join(', ')
  return `<details><summary><span class="method">${escaped(method.toUpperCase())}</span><code>${escaped(path)}</code>
${operation.summary === undefined ? '' : ` – ${escaped(operation.summary)}`}${scopes === undefined ? '' : `<span class="scopes">${escaped(scopes)}</span>`}</summary><div>
${operation.description ? `<p>${escaped(operation.description)}</p>` : ''}
${parameters.length === 0 ? '' : `<table>${parameters.map((parameter) => `<tr><td><code>${escaped(parameter.name)}</code></td><td>${escaped(parameter.in)}${parameter.required ? ', required' : ''}</td><td><code>${escaped(shape(parameter.schema, schemas))}</code></td></tr>`).join('')}</table>`}
${body === undefined ? '' : `<p>Body</p><pre>${escaped(shape(body, schemas))}</pre>`}
${Object.entries(operation.responses ?? {})
  .map(([status, response]) => answerOf(status, response, schemas))
  .join('')}
</div></details>`
}

function answerOf(
  status: string,
  response: NonNullable<Operation['responses']>[string],
  schemas: Readonly<Record<string, unknown>>,
): string {
  const schema = Object.values(response.content ?? {})[0]?.schema
  const text = schema === undefined ? '' : shape(schema, schemas)
  return `<p>${escaped(status)} ${escaped(response.description ?? '')}</p>${text === '' || text === 'object' ? '' : `<pre>${escaped(text)}</pre>`}`
}

interface Schema {
  $ref?: string
  type?: string
  format?: string
  pattern?: string
  enum?: unknown[]
  nullable?: boolean
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: Schema | boolean
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
}

// Deep enough for a template; beyond it only the kind is told, so that schemas may refer to themselves.
const maxDepth = 8

/** A schema in the shape of the JSON it describes. */
export function shape(given: unknown, schemas: Readonly<Record<string, unknown>>, depth = 0): string {
  const schema = resolved(given as Schema, schemas)
  if (depth > maxDepth) return '…'
  const branches = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (branches !== undefined)
    return branches.map((branch) => shape(branch, schemas, depth)).join(schema.allOf === undefined ? ' | ' : ' & ')
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.properties !== undefined) {
    const indent = '  '.repeat(depth + 1)
    const fields = Object.entries(schema.properties).map(
      ([name, field]) => `${indent}${name}${schema.required?.includes(name) ? '' : '?'}: ${shape(field, schemas, depth + 1)}`,
    )
    return `{\n${fields.join('\n')}\n${'  '.repeat(depth)}}${schema.nullable ? ' | null' : ''}`
  }
  if (schema.items !== undefined) return `[ ${shape(schema.items, schemas, depth)} ]`
  if (typeof schema.additionalProperties === 'object') return `{ [name]: ${shape(schema.additionalProperties, schemas, depth + 1)} }`
  return `${schema.type ?? 'any'}${limits(schema)}${schema.nullable ? ' | null' : ''}`
}

function limits({ minimum, maximum, minLength, maxLength, format, pattern }: Schema): string {
  const from = minimum ?? minLength
  const to = maximum ?? maxLength
  const range = from === undefined && to === undefined ? '' : `${from ?? ''}..${to !== undefined && to < Number.MAX_SAFE_INTEGER ? to : ''}`
  const said = [format, pattern, range].filter((part) => part !== undefined && part !== '')
  return said.length === 0 ? '' : ` (${said.join(', ')})`
}

function resolved(schema: Schema, schemas: Readonly<Record<string, unknown>>): Schema {
  const name = schema.$ref?.split('/').at(-1)
  return name === undefined ? schema : ((schemas[name] as Schema | undefined) ?? {})
}
