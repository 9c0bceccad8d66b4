// Arrays as parameters: literals built by hand, several times cheaper than the driver's, which were a seventh of a dispatcher's garbage.
// See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.

/** A uuid[] literal. */
export const uuids = (ids: readonly string[]): string => `{${ids.join(',')}}`
/** An int[], smallint[] or bigint[] literal, or a float8[] literal. */
export const ints = (numbers: readonly number[]): string => `{${numbers.join(',')}}`
/** A literal of numbers or booleans, some of them perhaps NULL. */
export const nullable = (values: readonly (number | boolean | null)[]): string => `{${values.map((value) => value ?? 'NULL').join(',')}}`
/** A text[] literal. */
export const texts = (values: readonly (string | null)[]): string => `{${values.map(quoted).join(',')}}`

const special = /["\\]/
const quoted = (value: string | null): string =>
  value === null ? 'NULL' : `"${special.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`
