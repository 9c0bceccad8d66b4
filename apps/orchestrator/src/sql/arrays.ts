// Arrays as parameters: literals built by hand where the values need no quoting, which is several times cheaper.
import type { Pool, PoolClient } from 'pg'

/** A pool or a transaction. */
export type Queryable = Pick<Pool | PoolClient, 'query'>

/** A uuid[] literal. */
export const uuids = (ids: readonly string[]): string => `{${ids.join(',')}}`
/** An int[], smallint[] or bigint[] literal. */
export const ints = (numbers: readonly number[]): string => `{${numbers.join(',')}}`
/** A text[] literal. */
export const texts = (values: readonly (string | null)[]): string => `{${values.map(quoted).join(',')}}`

const special = /["\\]/
const quoted = (value: string | null): string => (value === null ? 'NULL' : `"${special.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`)
