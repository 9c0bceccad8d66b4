// Receipts: each sent once, and tried again for as long as the server cannot take it.
import { backoffMs, pause } from './backoff'
import type { Connection } from './connection'
import { isPassing } from './errors'

// With waits of up to 30 s this is about four minutes on average; then whoever asked is told.
const attemptsAtMost = 12
// As many as a person scrolls past in a sitting; older ones, sent again, are harmless: the server counts one per message and kind.
const rememberedAtMost = 1_000

/** Sends receipts. */
export class Receipts {
  private readonly sent = new Map<string, Promise<void>>()

  constructor(private readonly connection: Connection) {}

  /**
   * Sends a receipt; resolves once Stepcast has it for good. The same one sent again is the same promise, unless it failed.
   * Rejects with {@link StepcastProblem} (404: not this user's message) or, after 12 attempts, with what the last one met.
   */
  send(path: string, body?: object): Promise<void> {
    const key = `${path} ${JSON.stringify(body ?? null)}`
    const known = this.sent.get(key)
    if (known !== undefined) return known
    const sending = this.untilTaken(path, body).catch((error: unknown) => {
      this.sent.delete(key)
      throw error
    })
    this.sent.set(key, sending)
    if (this.sent.size > rememberedAtMost) this.sent.delete(this.sent.keys().next().value!)
    return sending
  }

  private async untilTaken(path: string, body?: object): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.connection.json<void>({ method: 'POST', path, ...(body === undefined ? {} : { body }) })
      } catch (error) {
        if (!isPassing(error) || attempt === attemptsAtMost) throw error
        await pause(backoffMs(attempt, error))
      }
    }
  }
}
