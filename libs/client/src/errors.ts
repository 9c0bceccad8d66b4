// What can go wrong, as errors one can tell apart.

/** What is wrong with one field. */
export interface FieldError {
  /** JSON pointer into the body, or `/name` of a query parameter. */
  readonly path: string
  /** Which value is wrong and what is allowed. */
  readonly message: string
}

/** Stepcast refused: an RFC 9457 problem. The message is its `detail`. */
export class StepcastProblem extends Error {
  override readonly name = 'StepcastProblem'

  constructor(
    /** The HTTP status. */
    readonly status: number,
    readonly title: string,
    detail: string,
    /** The fields that are wrong, of 400 and 422. */
    readonly errors: readonly FieldError[],
    /** Milliseconds the server asks to wait before trying again; null where it does not say. */
    readonly retryAfterMs: number | null,
  ) {
    super(detail)
  }
}

/** No answer came: no network, a connection that broke, or none in time. */
export class StepcastUnreachable extends Error {
  override readonly name = 'StepcastUnreachable'
}

/** Reads a refusal; also of something in between that speaks no problem+json. */
export async function problemOf(response: Response): Promise<StepcastProblem> {
  const text = await response.text().catch(() => '')
  const { title, detail, errors } = readProblem(text)
  const retryAfter = Number(response.headers.get('retry-after') ?? NaN)
  return new StepcastProblem(
    response.status,
    title ?? response.statusText,
    detail ?? `${response.status} ${response.statusText}`.trim(),
    errors ?? [],
    Number.isFinite(retryAfter) ? retryAfter * 1_000 : null,
  )
}

function readProblem(text: string): { title?: string; detail?: string; errors?: FieldError[] } {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null ? read : {}
  } catch {
    return {}
  }
}

/** Whether the same call may succeed later: nobody answered, too many calls, or the other side is in trouble. */
export const isPassing = (error: unknown): boolean =>
  error instanceof StepcastUnreachable || (error instanceof StepcastProblem && (error.status === 429 || error.status >= 500))
