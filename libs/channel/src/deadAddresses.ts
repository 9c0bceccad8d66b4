// Dead addresses: what a provider called gone is removed from the user, and owed until it is.
import type { Pool } from 'pg'
import type { Log } from '@stepcast/kafka'
import { Wake } from './wake'

/** One address to be forgotten. */
export interface DeadAddressRow {
  readonly workspaceId: string
  readonly userId: string
  readonly target: string
  readonly address: string
  /** RFC 3339: when its provider said so. A registration after it is alive. */
  readonly deadSince: string
  readonly attempts: number
}

/** Removes one, idempotently; rejects when it must be tried again. */
export type DeadAddressRemover = (dead: DeadAddressRow) => Promise<void>

const maxSleepMs = 5_000
const batchSize = 50
// Long enough to be claimed by one process only: a batch takes well below a minute.
const leaseMs = 60_000
const maxBackoffMs = 300_000

/** Runs until stopped. */
export class DeadAddresses {
  private readonly wake = new Wake()
  private loop: Promise<void> = Promise.resolve()
  private stopping = false

  constructor(private readonly options: { pool: Pool; log: Log; remove: DeadAddressRemover }) {}

  start(): void {
    this.loop = this.run()
  }

  /** There may be a new one. */
  kick(): void {
    this.wake.now()
  }

  async stop(): Promise<void> {
    this.stopping = true
    this.wake.now()
    await this.loop
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      let found = 0
      try {
        found = await this.pass()
      } catch (error) {
        this.options.log.warn({ error: (error as Error).message }, 'dead addresses could not be read, trying again')
      }
      await this.wake.sleep(found === batchSize ? 0 : maxSleepMs)
    }
  }

  private async pass(): Promise<number> {
    const { rows } = await this.options.pool.query<DeadAddressRow>(
      `UPDATE dead_addresses SET due_at = now() + $2 * interval '1 millisecond', attempts = attempts + 1
       WHERE (workspace_id, user_id, target) IN (
         SELECT workspace_id, user_id, target FROM dead_addresses WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
       RETURNING workspace_id AS "workspaceId", user_id AS "userId", target, address, attempts,
         to_char(dead_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "deadSince"`,
      [batchSize, leaseMs],
    )
    for (const row of rows) await this.removeOne(row)
    return rows.length
  }

  private async removeOne(row: DeadAddressRow): Promise<void> {
    const { pool, log, remove } = this.options
    const key = [row.workspaceId, row.userId, row.target, row.address]
    try {
      await remove(row)
      await pool.query('DELETE FROM dead_addresses WHERE workspace_id = $1 AND user_id = $2 AND target = $3 AND address = $4', key)
    } catch (error) {
      const backoffMs = Math.min(maxBackoffMs, 1_000 * 2 ** Math.min(20, row.attempts))
      log.warn({ error: (error as Error).message, attempts: row.attempts, backoffMs }, 'a dead address could not be removed, trying again')
      await pool.query(
        `UPDATE dead_addresses SET due_at = now() + $5 * interval '1 millisecond'
         WHERE workspace_id = $1 AND user_id = $2 AND target = $3 AND address = $4`,
        [...key, backoffMs],
      )
    }
  }
}
