// The operator's list: messages that were possibly sent, since an attempt ended without an answer (rule 12).
import type { Pool } from 'pg'

/** One target of a message with an attempt of unknown outcome. */
export interface UncertainMessage {
  readonly messageId: string
  readonly target: string
  readonly provider: string
  readonly state: string
  readonly reason: string | null
  readonly attempts: number
}

/** A workspace's uncertain targets after a key, in order of messageId and target. */
export async function listUncertain(
  pool: Pool,
  workspaceId: string,
  limit: number,
  after: { messageId: string; target: string } | null,
): Promise<UncertainMessage[]> {
  const { rows } = await pool.query<UncertainMessage>(
    `SELECT message_id AS "messageId", target, provider, state, reason, attempts FROM ledger
     WHERE uncertain AND workspace_id = $1 AND ($3::text IS NULL OR (message_id, target) > ($3, $4))
     ORDER BY message_id, target LIMIT $2`,
    [workspaceId, limit, after?.messageId ?? null, after?.target ?? null],
  )
  return rows
}
