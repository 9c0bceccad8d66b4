// A JSON schema written in the shape of the JSON it describes, for people.

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
