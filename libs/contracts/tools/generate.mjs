// Writes src/generated/avro.ts from avro/*.avsc: one TypeScript type per record and enum, and the schemas themselves.
// `node generate.mjs` writes; `node generate.mjs --check` exits 1 when the checked-in file is not current.
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const avroDir = join(here, '..', 'avro')
const target = join(here, '..', 'src', 'generated', 'avro.ts')

const declarations = new Map()
const declare = (name, text) => {
  const known = declarations.get(name)
  if (known !== undefined && known !== text) throw new Error(`${name} is defined twice with different fields`)
  declarations.set(name, text)
}
const doc = (text, indent = '') => (text ? `${indent}/** ${text} */\n` : '')
const primitives = {
  string: 'string',
  int: 'number',
  long: 'number',
  double: 'number',
  float: 'number',
  boolean: 'boolean',
  bytes: 'Buffer',
  null: 'null',
}

const typeOf = (schema) => {
  if (typeof schema === 'string') return primitives[schema] ?? schema.replace(/^stepcast\.v1\./, '')
  if (Array.isArray(schema)) {
    const records = schema.filter((branch) => branch.type === 'record')
    const tagged = records.length > 1
    return schema.map((branch) => (branch.type === 'record' ? declareRecord(branch, tagged) : typeOf(branch))).join(' | ')
  }
  switch (schema.type) {
    case 'record':
      return declareRecord(schema, false)
    case 'enum':
      declare(schema.name, `export type ${schema.name} = ${schema.symbols.map((symbol) => `'${symbol}'`).join(' | ')}\n`)
      return schema.name
    case 'array': {
      const item = typeOf(schema.items)
      return /\|/.test(item) ? `ReadonlyArray<${item}>` : `readonly ${item}[]`
    }
    case 'map':
      return `Readonly<Record<string, ${typeOf(schema.values)}>>`
    default:
      return typeOf(schema.type)
  }
}

function declareRecord(schema, tagged) {
  const fields = schema.fields.map((field) => `${doc(field.doc, '  ')}  readonly ${field.name}: ${typeOf(field.type)}\n`).join('')
  const tag = tagged ? `  readonly type: '${schema.name}'\n` : ''
  declare(schema.name, `${doc(schema.doc)}export interface ${schema.name} {\n${tag}${fields}}\n`)
  return schema.name
}

const schemas = readdirSync(avroDir)
  .filter((file) => file.endsWith('.avsc'))
  .sort()
  .map((file) => {
    try {
      return JSON.parse(readFileSync(join(avroDir, file), 'utf8'))
    } catch (cause) {
      throw new Error(`${file} is not JSON: ${cause.message}`)
    }
  })
schemas.forEach((schema) => declareRecord(schema, false))

const text = `// Generated from avro/*.avsc by tools/generate.mjs; never edited. Run \`npm run generate\` after changing a schema.
/* eslint-disable */

${[...declarations.values()].join('\n')}
/** The schema of every record that crosses a process, by record name. */
export const avroSchemas = ${JSON.stringify(Object.fromEntries(schemas.map((schema) => [schema.name, schema])), null, 2)} as const

/** The TypeScript type of every record that crosses a process, by record name. */
export interface AvroRecords {
${schemas.map((schema) => `  ${schema.name}: ${schema.name}`).join('\n')}
}
`

if (process.argv.includes('--check')) {
  const current = readFileSync(target, 'utf8')
  if (current !== text) {
    console.error('libs/contracts/src/generated/avro.ts is not current: run `npm run generate` and commit the result')
    process.exit(1)
  }
} else {
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
}
