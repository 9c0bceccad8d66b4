// Puts the services' OpenAPI documents together: their public paths, and their schemas under names that do not collide.

/** As much of OpenAPI as merging needs. */
export interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string; description?: string }
  paths: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, unknown>; securitySchemes?: Record<string, unknown> }
  [extension: `x-${string}`]: unknown
}

/** One call. */
export interface Operation {
  summary?: string
  description?: string
  tags?: string[]
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: unknown }[]
  requestBody?: { content?: Record<string, { schema?: unknown }> }
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: unknown }> }>
  'x-stepcast-scopes'?: string[]
  [other: string]: unknown
}

const description = `Server calls: \`Authorization: Bearer sk_…\`, an API key with scopes admin, send, read.
Client calls (feed, receipts): a user token (JWT, HS256, header \`kid\` = <workspaceId>.<n>, \`sub\` = userId, \`exp\` at most
24 h away), or a key with scope send and \`On-Behalf-Of: <userId>\`.
Errors are application/problem+json (RFC 9457). Lists take limit (1..100) and cursor. Times are RFC 3339, UTC. Writes take Idempotency-Key.`

/**
 * Merges documents; calls only for services themselves are left out.
 * @param missing services whose document is not known, named in `x-stepcast-missing`.
 */
export function mergeDocuments(
  parts: readonly { name: string; document: OpenApiDocument }[],
  missing: readonly string[] = [],
): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {}
  const schemas: Record<string, unknown> = {}
  for (const { name, document } of parts) {
    const { paths: own, schemas: ownSchemas } = withUniqueNames(document, name, schemas)
    Object.assign(schemas, ownSchemas)
    for (const [path, operations] of Object.entries(own)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (!path.startsWith('/v1/') && !path.startsWith('/l/')) continue
        const scopes = operation['x-stepcast-scopes']
        if (scopes !== undefined && scopes.every((scope) => scope === 'internal')) continue
        ;(paths[path] ??= {})[method] = { ...operation, tags: [path.split('/')[2] ?? name] }
      }
    }
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Stepcast', version: '1', description },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => a.localeCompare(b))),
    components: { schemas, securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    ...(missing.length === 0 ? {} : { 'x-stepcast-missing': missing }),
  }
}

/** A service's paths and schemas, its schemas renamed where another service means something else by the name. */
function withUniqueNames({ paths, components }: OpenApiDocument, service: string, taken: Readonly<Record<string, unknown>>) {
  const own = components?.schemas ?? {}
  const renamed = Object.keys(own).filter((name) => name in taken && JSON.stringify(taken[name]) !== JSON.stringify(own[name]))
  const text = renamed.reduce(
    (json, name) => json.replaceAll(`"#/components/schemas/${name}"`, `"#/components/schemas/${name}_${service}"`),
    JSON.stringify({ paths, schemas: own }),
  )
  const merged = JSON.parse(text) as { paths: OpenApiDocument['paths']; schemas: Record<string, unknown> }
  for (const name of renamed) {
    merged.schemas[`${name}_${service}`] = merged.schemas[name]
    delete merged.schemas[name]
  }
  return merged
}
