// Whether an error is an outage, which passes by itself, or the input's own fault, which comes back with every try.

// https://www.postgresql.org/docs/current/errcodes-appendix.html by class: 08 connection, 25 state of a transaction (a read-only server), 28 sign-in,
// 3D no such database, 40 rollback (deadlock, serialization), 42 statement and rights, 53 resources, 55 object not ready (locks), 57 operator,
// 58 system. Our statements are constant, so class 42 (no right, a table or column that a migration has not made yet) is never the input's.
const outageClasses: ReadonlySet<string> = new Set(['08', '25', '28', '3D', '40', '42', '53', '55', '57', '58'])
const isSqlState = /^[0-9A-Z]{5}$/

const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'ENOBUFS',
])

// Errors of the database driver that carry no code.
const driverWords =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|query read timeout|cannot use a pool after calling end|client was closed/i

// What the broker says of the records themselves: these come back with every try. By the protocol's names.
const ofRecords: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'CORRUPT_MESSAGE',
  'INVALID_TIMESTAMP',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
])

/** The installation is wrong (a variable, another cluster): no record's fault and nothing that waiting mends, so the process says so and ends. */
export class InstallationError extends Error {
  readonly retriable = false
}

interface ErrorShape {
  readonly name?: string
  readonly message?: string
  readonly code?: unknown
  readonly table?: unknown
  readonly constraint?: unknown
  readonly type?: unknown
  readonly retriable?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

/**
 * True: what lies behind (database, broker, registry, network) could not serve, so the same input is tried again for as long as it takes.
 * False: the input itself makes it fail. An error of neither kind, a bug for instance, counts as the input's: its neighbours go on.
 */
export function isOutage(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, message = '', code, table, constraint, type, retriable, cause, errors } = error as ErrorShape
  if (typeof type === 'string' && ofRecords.has(type)) return false
  // A wrapper says that trying again is worth it; what it wraps may know better.
  if (cause !== undefined && speaksOfRecords(cause)) return false
  if (retriable === true) return true
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isOutage)
  if (typeof code === 'string') {
    if (networkCodes.has(code)) return true
    // No partition for the row: a table of the day that housekeeping has not made. A CHECK of a table names its constraint.
    if (code === '23514' && typeof table === 'string' && constraint === undefined) return true
    if (isSqlState.test(code)) return outageClasses.has(code.slice(0, 2))
  }
  // Whatever else the client says is of the cluster or of its rights; most of it carries `retriable: false`, as it gave up after its own tries.
  if (name?.startsWith('KafkaJS') === true) return true
  if (name === 'TimeoutError' || driverWords.test(message)) return true
  return cause !== undefined && isOutage(cause)
}

function speaksOfRecords(cause: unknown): boolean {
  if (typeof cause !== 'object' || cause === null) return false
  const { type, cause: deeper } = cause as ErrorShape
  return (typeof type === 'string' && ofRecords.has(type)) || (deeper !== undefined && speaksOfRecords(deeper))
}

/** The class of an error for people and metrics: its SQLSTATE, code, type or name; never its message, which may quote data. */
export function errorClass(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'Error'
  const { code, type, name } = error as ErrorShape
  for (const word of [code, type, name]) if (typeof word === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(word)) return word
  return 'Error'
}
