// The second half of an erasure (rule 22): what was still commanded while the first tombstone was read is erased by a second one.
import type { KeyObject } from 'node:crypto'
import { inTransaction, type OutboxRelay } from '@stepcast/postgres'
import { contextHeader, signContext, type Env, type Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { eraseAgain, type UserName } from './changes'

/** An erasure whose cancel the orchestrator has not answered yet. */
export interface OpenErasure extends UserName {
  readonly cancelId: string
  readonly requestedBy: string
}

/** Cancels all of a user; answers when none of it is commanded any more. Rejects when it must be asked again. */
export type CancelUser = (erasure: OpenErasure, timeoutMs: number) => Promise<void>

/**
 * Asks `POST /internal/cancels` of the orchestrator at ORCHESTRATOR_URL. The cancelId is that of the record on the controls: whichever comes
 * second changes nothing.
 * @throws Error without ORCHESTRATOR_URL
 */
export function cancelUserFromEnv({ ORCHESTRATOR_URL }: Env, key: KeyObject): CancelUser {
  if (!ORCHESTRATOR_URL) throw new Error('ORCHESTRATOR_URL is missing: give the address of the orchestrator')
  return async ({ workspaceId, userId, cancelId, requestedBy }, timeoutMs) => {
    const context = await signContext(key, { workspaceId, scopes: ['internal'], userId: null, via: 'root', keyId: null })
    const response = await fetch(`${ORCHESTRATOR_URL}/internal/cancels`, {
      method: 'POST',
      signal: AbortSignal.timeout(timeoutMs),
      headers: { [contextHeader]: context, 'content-type': 'application/json' },
      body: JSON.stringify({ cancelId, scope: 'user', id: userId, requestedBy, known: true }),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`the orchestrator answered ${response.status}`)
  }
}

/** What {@link Erasures} are made of. */
export interface ErasuresOptions {
  readonly pool: Pool
  readonly relay: OutboxRelay
  readonly cancelUser: CancelUser
  readonly log: Log
}

// Whoever waits for an answer is not kept longer: contracts.md gives a write of users 5 s, Kafka has its share of them.
const inTimeMs = 2_000
const patientlyMs = 30_000
const pollMs = 1_000
const atOnce = 50
// Longer than one process works at what it has taken; then another may.
const leaseSeconds = 60
const againSeconds = 5
const openColumns = `cancel_id AS "cancelId", workspace_id AS "workspaceId", user_id AS "userId", requested_by AS "requestedBy"`

/**
 * Finishes erasures. A send that waited before the orchestrator may be commanded after a dispatcher has read the tombstone, and leave the
 * person's data there once more. When the orchestrator has answered the cancel, nothing of that kind is commanded any more: a tombstone
 * written then is read after it, and whoever has come back meanwhile is told of anew behind it.
 */
export class Erasures {
  private timer: NodeJS.Timeout | null = null
  private running: Promise<void> | null = null
  private stopped = false

  constructor(private readonly options: ErasuresOptions) {}

  /** Begins to look for erasures that nobody finished: the orchestrator was away, or this service ended. */
  start(): void {
    this.timer = setInterval(() => {
      this.running ??= this.passes().finally(() => (this.running = null))
    }, pollMs)
  }

  /** Ends after the erasure at hand. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.timer) clearInterval(this.timer)
    await this.running
  }

  /** Finishes what is open of a user, if the orchestrator answers within 2 s; what it does not is finished when it does. */
  async finishInTime({ workspaceId, userId }: UserName): Promise<void> {
    const { pool, relay } = this.options
    const { rows } = await pool.query<OpenErasure>(`SELECT ${openColumns} FROM erasures WHERE workspace_id = $1 AND user_id = $2`, [
      workspaceId,
      userId,
    ])
    for (const erasure of rows) {
      const told = await this.finish(erasure, inTimeMs).catch((error: Error) => {
        this.options.log.warn({ err: error }, 'an erasure waits for the orchestrator')
        return null
      })
      if (told === null) return
      await relay.published(told, { timeoutMs: inTimeMs })
    }
  }

  private async passes(): Promise<void> {
    try {
      while (!this.stopped && (await this.pass()) === atOnce);
    } catch (error) {
      this.options.log.warn({ err: error }, 'erasures wait for the database')
    }
  }

  /** Answers how many were due. One that fails is left for later and keeps nobody waiting. */
  private async pass(): Promise<number> {
    const { pool, relay, log } = this.options
    const { rows } = await pool.query<OpenErasure>(
      `UPDATE erasures SET due_at = now() + ${leaseSeconds} * interval '1 second' WHERE cancel_id IN (
         SELECT cancel_id FROM erasures WHERE due_at <= now() ORDER BY due_at LIMIT ${atOnce} FOR UPDATE SKIP LOCKED)
       RETURNING ${openColumns}`,
    )
    const begun = performance.now()
    const left: OpenErasure[] = []
    let reason: unknown
    for (const erasure of rows) {
      if (this.stopped || performance.now() - begun > leaseSeconds * 500) left.push(erasure)
      else {
        await this.finish(erasure, patientlyMs).catch((error: unknown) => {
          left.push(erasure)
          reason = error
        })
      }
    }
    if (rows.length > left.length) relay.kick()
    if (left.length === 0) return rows.length
    await pool.query(`UPDATE erasures SET due_at = now() + ${againSeconds} * interval '1 second' WHERE cancel_id = ANY($1::uuid[])`, [
      left.map(({ cancelId }) => cancelId),
    ])
    if (reason !== undefined) log.warn({ err: reason, erasures: left.length }, 'erasures wait for the orchestrator')
    return rows.length
  }

  private async finish(erasure: OpenErasure, timeoutMs: number): Promise<readonly number[]> {
    await this.options.cancelUser(erasure, timeoutMs)
    // failpoint: before-erased-again
    return inTransaction(this.options.pool, (tx) => eraseAgain(tx, erasure))
  }
}
