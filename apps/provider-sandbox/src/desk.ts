// The desk every request to a provider passes: credentials, then faults, then the message; written down before it is answered.
import type { Answer } from './answer'
import { Arrivals, type ProviderName } from './arrivals'
import { timeNow } from './clock'
import { Faults, type RequestFault } from './faults'

/** One message of a request (Solapi takes several), judged by its provider's rules. */
export interface Judged {
  readonly messageId: string | null
  readonly to: string
  readonly isAccepted: boolean
  /** How the log names what became of it. */
  readonly logged: string
  /** Hands an accepted message on to its phone. */
  accept?(): void
}

/** A request as its protocol read it. */
export interface Submission {
  readonly provider: ProviderName
  /** The answer to who may not call; null for who may. Faults strike only those. */
  readonly refusal: Answer | null
  /** The answer without a fault. */
  readonly answer: Answer
  readonly messages: readonly Judged[]
  /** How this provider words a fault; null where the fault answers nothing by itself. */
  faultAnswer(fault: RequestFault): Answer | null
}

/** What the protocol has to do. `close`: let the connection end after this answer (HTTP/1). */
export type Reply =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly afterMs: number; readonly close: boolean }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset'; readonly connection: boolean }
  | { readonly kind: 'goaway' }

const slowMs = 2_000

/** Where all requests are taken. */
export class Desk {
  constructor(
    private readonly arrivals: Arrivals,
    private readonly faults: Faults,
  ) {}

  /** Takes one request: writes its messages down, hands accepted ones on, and says how to answer. */
  take(submission: Submission, isHttp2: boolean): Reply {
    const { provider, refusal, messages } = submission
    const fault = refusal === null ? this.faults.strike(provider) : null
    const instead = refusal ?? (fault === null ? null : submission.faultAnswer(fault))
    const reply: Reply =
      instead === null && messages.some(({ isAccepted }) => isAccepted)
        ? replyOf(submission.answer, fault, isHttp2)
        : { kind: 'answer', answer: instead ?? submission.answer, afterMs: 0, close: fault?.mode === 'goaway' }
    const isTaken = instead === null && reply.kind !== 'hang' && reply.kind !== 'goaway'
    const at = timeNow()
    for (const message of messages) {
      const accepted = isTaken && message.isAccepted
      const answer = reply.kind !== 'answer' && message.isAccepted ? reply.kind : (instead?.logged ?? message.logged)
      this.arrivals.record({ provider, messageId: message.messageId, to: message.to, at, answer, accepted })
      if (accepted) message.accept?.()
    }
    return reply
  }
}

function replyOf(answer: Answer, fault: RequestFault | null, isHttp2: boolean): Reply {
  switch (fault?.mode) {
    case 'hang':
      return { kind: 'hang' }
    case 'accept-then-reset':
      return { kind: 'reset', connection: fault.connection ?? false }
    case 'goaway':
      return isHttp2 ? { kind: 'goaway' } : { kind: 'answer', answer, afterMs: 0, close: true }
    case 'slow':
      return { kind: 'answer', answer, afterMs: fault.delayMs ?? slowMs, close: false }
    case '429':
    case '500':
    case 'reject':
    case undefined:
      return { kind: 'answer', answer, afterMs: 0, close: false }
  }
}
