// The API to read: the merged OpenAPI document as one page that needs no script and nothing from elsewhere.
import type { OpenApiDocument, Operation } from './mergeDocuments'
import { escaped, htmlPage } from './page'
import { shape } from './shape'

type Schemas = Readonly<Record<string, unknown>>
interface Call {
  path: string
  method: string
  operation: Operation
}

/** Renders a document. */
export function docsPage({ info, paths, components, 'x-stepcast-missing': missing }: OpenApiDocument): string {
  const schemas = components?.schemas ?? {}
  const groups = [...callsByTag(paths)].map(
    ([tag, calls]) => `<h2>${escaped(tag)}</h2>${calls.map((call) => callHtml(call, schemas)).join('')}`,
  )
  const away = Array.isArray(missing) ? `<p class="bad">Not described, because away: ${escaped(missing.join(', '))}.</p>` : ''
  return htmlPage(
    `${info.title} API`,
    `
<h1>${escaped(info.title)} API</h1>
<p>${escaped(info.description ?? '').replace(/`([^`]+)`/g, '<code>$1</code>')}</p>
<p><a href="/v1/openapi.json">OpenAPI document</a></p>
${away}
${groups.join('')}`,
  )
}

function callsByTag(paths: OpenApiDocument['paths']): Map<string, Call[]> {
  const groups = new Map<string, Call[]>()
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? 'other'
      groups.set(tag, [...(groups.get(tag) ?? []), { path, method, operation }])
    }
  }
  return groups
}

function callHtml({ path, method, operation }: Call, schemas: Schemas): string {
  const { summary, description, parameters = [], requestBody, responses = {}, 'x-stepcast-scopes': scopes } = operation
  const body = schemaOf(requestBody?.content)
  return `<details>
<summary><span class="method">${escaped(method.toUpperCase())}</span><code>${escaped(path)}</code>
${summary === undefined ? '' : ` – ${escaped(summary)}`}
${scopes === undefined ? '' : `<span class="scopes">${escaped(scopes.join(', '))}</span>`}</summary>
<div>
${description ? `<p>${escaped(description)}</p>` : ''}
<table>${parameters
    .filter((parameter) => parameter.in !== 'header')
    .map((parameter) => parameterHtml(parameter, schemas))
    .join('')}</table>
${body === undefined ? '' : `<p>Body</p><pre>${escaped(shape(body, schemas))}</pre>`}
${Object.entries(responses)
  .map(([status, response]) => answerHtml(status, response, schemas))
  .join('')}
</div></details>`
}

const parameterHtml = ({ name, in: place, required, schema }: NonNullable<Operation['parameters']>[number], schemas: Schemas): string =>
  `<tr><td><code>${escaped(name)}</code></td><td>${escaped(place)}${required ? ', required' : ''}</td>` +
  `<td><code>${escaped(shape(schema ?? {}, schemas))}</code></td></tr>`

function answerHtml(status: string, { description = '', content }: NonNullable<Operation['responses']>[string], schemas: Schemas): string {
  const schema = schemaOf(content)
  const text = schema === undefined ? '' : shape(schema, schemas)
  // A problem looks the same everywhere: its name says enough.
  const known = status === 'default' || text === '' || text === 'object'
  return `<p>${escaped(status)} ${escaped(description)}</p>${known ? '' : `<pre>${escaped(text)}</pre>`}`
}

const schemaOf = (content: Record<string, { schema?: unknown }> | undefined): unknown => Object.values(content ?? {})[0]?.schema
