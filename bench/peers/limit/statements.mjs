// Multi-row statements over arrays, as Stepcast writes them: one per table, kind and transaction.

const quoted = (name) => `"${name}"`
const needsQuotes = /[\s,{}"\\]|^$|^null$/i
const element = (value) => {
  if (value === null) return 'NULL'
  return needsQuotes.test(value) ? `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : value
}
const arrayOf = (rows, index) => `{${rows.map((row) => element(row[index])).join(',')}}`

/**
 * A source of rows for a statement: its FROM clause and its parameters. A bytea column travels as one binary value that the server
 * cuts up, for an array of bytea would be written and read as hexadecimal text.
 */
function source(columns, rows) {
  const values = []
  const arrays = []
  const names = []
  const expressions = columns.map(({ name, type }, index) => {
    if (type !== 'bytea') {
      values.push(arrayOf(rows, index))
      arrays.push(`$${values.length}::${type}[]`)
      names.push(quoted(name))
      return `r.${quoted(name)}`
    }
    let from = 1
    const starts = rows.map((row) => {
      const start = from
      from += row[index]?.length ?? 0
      return start
    })
    values.push(Buffer.concat(rows.map((row) => row[index] ?? Buffer.alloc(0))))
    const bytes = `$${values.length}::bytea`
    values.push(`{${starts.join(',')}}`, `{${rows.map((row) => (row[index] === null ? 'NULL' : row[index].length)).join(',')}}`)
    arrays.push(`$${values.length - 1}::int[]`, `$${values.length}::int[]`)
    names.push(quoted(`${name} from`), quoted(`${name} length`))
    return `substring(${bytes} FROM r.${quoted(`${name} from`)} FOR r.${quoted(`${name} length`)})`
  })
  return { values, from: `unnest(${arrays.join(', ')}) AS r (${names.join(', ')})`, expressions }
}

export function insert({ name, columns }, rows) {
  const { values, from, expressions } = source(columns, rows)
  const names = columns.map((column) => quoted(column.name)).join(', ')
  const text = `INSERT INTO orchestrator.${quoted(name)} (${names}) SELECT ${expressions.join(', ')} FROM ${from}`
  return { name: `insert ${name}`, text, values }
}

export function update({ name, keys, changed }, rows) {
  const { values, from, expressions } = source([...keys, ...changed], rows)
  const set = changed.map((column, index) => `${quoted(column.name)} = ${expressions[keys.length + index]}`).join(', ')
  const where = keys.map((column, index) => `t.${quoted(column.name)} = ${expressions[index]}`).join(' AND ')
  return {
    name: `update ${name} ${changed.map((column) => column.name).join(' ')}`,
    text: `UPDATE orchestrator.${quoted(name)} t SET ${set} FROM ${from} WHERE ${where}`,
    values,
  }
}

export function remove({ name, keys }, rows) {
  const { values, from, expressions } = source(keys, rows)
  const where = keys.map((column, index) => `t.${quoted(column.name)} = ${expressions[index]}`).join(' AND ')
  return { name: `delete ${name}`, text: `DELETE FROM orchestrator.${quoted(name)} t USING ${from} WHERE ${where}`, values }
}
