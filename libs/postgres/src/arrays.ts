// Arrays as parameters of statements: the driver's own way tries two patterns on every element and made a seventh of a dispatcher's garbage.

// What PostgreSQL takes without quotes, and is not NULL: ids, names, numbers.
const plain = /^[\w.:@+-]+$/
const isNull = /^null$/i
const special = /["\\]/g

/**
 * The text of a one-dimensional array, for a parameter such as `$1::text[]`.
 * See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.
 */
export function arrayText(values: readonly (string | number | boolean | null)[]): string {
  return `{${values.map(element).join(',')}}`
}

function element(value: string | number | boolean | null): string | number | boolean {
  if (typeof value !== 'string') return value ?? 'NULL'
  return plain.test(value) && !isNull.test(value) ? value : `"${value.replace(special, '\\$&')}"`
}
