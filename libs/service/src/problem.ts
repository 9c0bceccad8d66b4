// The one shape of every refusal: RFC 9457 problem details, thrown as an error and answered by the problem filter.
import { STATUS_CODES } from 'node:http'

/** What is wrong with one field. */
export interface FieldError {
  /** JSON pointer (RFC 6901) into the body, or `/name` of a query or path parameter; empty for the whole body. */
  readonly path: string
  /** Which value is wrong and what is allowed. */
  readonly message: string
}

/**
 * What a status means to a program, where a problem names no `type` of its own: clients match this and not our sentences. One meaning each,
 * never renamed.
 */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: 'unreadable',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  408: 'too-slow',
  409: 'conflict',
  410: 'gone',
  412: 'precondition-failed',
  413: 'too-large',
  415: 'unsupported-media-type',
  422: 'refused',
  429: 'too-many',
  431: 'headers-too-large',
  500: 'unexpected',
  503: 'unavailable',
}

/** The parts of a {@link Problem}; `type` is that of its status and `title` the status phrase unless given. */
export interface ProblemParts {
  readonly status: number
  readonly detail: string
  readonly title?: string
  /** `urn:stepcast:…`, where the status says too little. */
  readonly type?: `urn:stepcast:${string}`
  readonly errors?: readonly FieldError[]
  /** Members beyond RFC 9457's own, such as `notReady`. */
  readonly extensions?: Readonly<Record<string, unknown>>
  /** Response headers, such as `retry-after` (seconds). */
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that is not the one the caller hoped for. Throw it anywhere below a controller. */
export class Problem extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(private readonly parts: ProblemParts) {
    super(parts.detail)
    this.status = parts.status
    this.headers = parts.headers ?? {}
  }

  get errors(): readonly FieldError[] {
    return this.parts.errors ?? []
  }

  /** The `application/problem+json` body. */
  toJSON(): Record<string, unknown> {
    const { status, detail, title, type, errors, extensions } = this.parts
    return {
      ...extensions,
      type: type ?? problemType(status),
      title: title ?? STATUS_CODES[status] ?? 'Error',
      status,
      detail,
      ...(errors === undefined ? {} : { errors }),
    }
  }
}

const problemType = (status: number): string => {
  const name = typeOfStatus[status]
  return name === undefined ? 'about:blank' : `urn:stepcast:${name}`
}

/** 400: what was sent cannot be read at all. */
export const unreadable = (errors: readonly FieldError[]): Problem =>
  new Problem({ status: 400, detail: summary('The request cannot be read', errors), errors })

/** 401: no credentials, or none that are valid. */
export const unauthenticated = (detail: string): Problem => new Problem({ status: 401, detail, headers: { 'www-authenticate': 'Bearer' } })

/** 403: the credentials are valid and do not allow this. */
export const forbidden = (detail: string): Problem => new Problem({ status: 403, detail })

/** 404: nothing of that name in the caller's workspace. */
export const notFound = (detail: string): Problem => new Problem({ status: 404, detail })

/** 409: it contradicts the present state. */
export const conflict = (detail: string): Problem => new Problem({ status: 409, detail })

/** 409: the id exists already. */
export const taken = (detail: string): Problem => new Problem({ status: 409, type: 'urn:stepcast:taken', detail })

/** 412: somebody else has changed it since it was read. */
export const preconditionFailed = (detail: string): Problem => new Problem({ status: 412, detail })

/** 422: readable, and not allowed. */
export const refused = (errors: readonly FieldError[]): Problem =>
  new Problem({ status: 422, detail: summary('The request is refused', errors), errors })

/** 503: a part the answer needs is out of reach; the same request may work after `retry-after` (1 s). */
export const unavailable = (detail: string): Problem => new Problem({ status: 503, detail, headers: { 'retry-after': '1' } })

/** The first error in words, and how many more there are. */
function summary(lead: string, errors: readonly FieldError[]): string {
  const [first] = errors
  if (first === undefined) return `${lead}.`
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return `${lead}: ${first.path === '' ? 'the body' : first.path} ${first.message}${more}.`
}
