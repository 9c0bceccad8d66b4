// What send-svc asks of other services: outcomes of metrics-svc, cancels of the orchestrator.
import { contextHeader, contextKey, currentTraceparent, Problem, signContext, unavailable, type Caller, type Env } from '@stepcast/service'

/** How the sequences of a send stand; their sum is its recipients. */
export interface Outcomes {
  readonly running: number
  readonly stopped: number
  readonly exhausted: number
  readonly unreachable: number
  readonly cancelled: number
}

/** A send as its sequences tell of it. */
export interface SendSummary {
  readonly sendId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly source: string
  readonly requestedAt: string
  readonly recipients: number
  readonly outcomes: Outcomes
}

/** The other services, by their addresses. */
export interface Services {
  /** Null while none of the send's sequences has started, or where there is no such send. */
  summary(caller: Caller, sendId: string): Promise<SendSummary | null>
  /**
   * Answers when no step of the send is commanded any more: whether there is such a send, `known` if the caller has it.
   * @throws Problem 429 when too many sends that do not exist were cancelled.
   */
  cancel(caller: Caller, request: { cancelId: string; scope: 'send'; id: string; requestedBy: string; known: boolean }): Promise<boolean>
}

// A report is a few reads. A cancel waits for every partition's turn to end, and whoever holds a cursor for 3 s is ended.
const summaryTimeoutMs = 5_000
const cancelTimeoutMs = 60_000

/** Reads METRICS_SVC_URL, ORCHESTRATOR_URL and STEPCAST_INTERNAL_SECRET. */
export function servicesFromEnv(env: Env): Services {
  const { METRICS_SVC_URL, ORCHESTRATOR_URL } = env
  if (!METRICS_SVC_URL) throw new Error('METRICS_SVC_URL is missing: give the address of metrics-svc')
  if (!ORCHESTRATOR_URL) throw new Error('ORCHESTRATOR_URL is missing: give the address of the orchestrator')
  const key = contextKey(env.STEPCAST_INTERNAL_SECRET)

  /** Null for 404. @throws Problem 503 when the service is out of reach or does not do its work. */
  async function ask<T>(service: string, url: string, caller: Caller, timeoutMs: number, body?: object): Promise<T | null> {
    const context = await signContext(key, { ...caller, scopes: [...caller.scopes, 'internal'] })
    const traceparent = currentTraceparent()
    let response: Response
    try {
      response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        signal: AbortSignal.timeout(timeoutMs),
        headers: { [contextHeader]: context, 'content-type': 'application/json', ...(traceparent === undefined ? {} : { traceparent }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (response.ok) return (await response.json()) as T
    } catch {
      throw unavailable(`${service} is out of reach: try again.`)
    }
    if (response.status === 429) throw await tooMany(response)
    await response.body?.cancel()
    if (response.status === 404) return null
    throw unavailable(`${service} answered ${response.status}: try again.`)
  }

  return {
    summary: (caller, sendId) =>
      ask<SendSummary>('metrics-svc', `${METRICS_SVC_URL}/internal/sends/${encodeURIComponent(sendId)}`, caller, summaryTimeoutMs),
    cancel: async (caller, request) => {
      const done = await ask<{ known: boolean }>(
        'The orchestrator',
        `${ORCHESTRATOR_URL}/internal/cancels`,
        caller,
        cancelTimeoutMs,
        request,
      )
      if (done === null) throw unavailable('The orchestrator cannot cancel yet: try again.')
      return done.known
    },
  }
}

/** A refusal as the other service worded it. */
async function tooMany(response: Response): Promise<Problem> {
  const { detail } = (await response.json().catch(() => ({}))) as { detail?: string }
  return new Problem({
    status: 429,
    detail: detail ?? 'Too many requests.',
    headers: { 'retry-after': response.headers.get('retry-after') ?? '60' },
  })
}
