// The operator's list: messages that were possibly sent, since an attempt ended without an answer (rule 12), and what to make of them.
import type { Pool, PoolClient } from 'pg'
import { inTransaction } from '@stepcast/postgres'
import { settle, type SettleOptions } from './settle'
import { resolutionProblem, type Resolution, type Target } from './transition'

/** One target of a message with an attempt of unknown outcome. */
export interface UncertainMessage {
  readonly messageId: string
  readonly target: string
  readonly provider: string
  readonly state: string
  readonly reason: string | null
  readonly attempts: number
  /** Null: erased since. */
  readonly userId: string | null
  /** When its command came: the provider's own log is searched from then on. */
  readonly receivedAt: Date
}

/** A workspace's uncertain targets that nobody has resolved, after a key, in order of messageId and target. */
export async function listUncertain(
  pool: Pool,
  workspaceId: string,
  limit: number,
  after: { messageId: string; target: string } | null,
): Promise<UncertainMessage[]> {
  const { rows } = await pool.query<UncertainMessage>(
    `SELECT message_id AS "messageId", target, provider, state, reason, attempts, nullif(user_id, '') AS "userId", received_at AS "receivedAt"
     FROM ledger l JOIN messages USING (message_id)
     WHERE uncertain AND resolved IS NULL AND l.workspace_id = $1 AND ($3::text IS NULL OR (message_id, target) > ($3, $4))
     ORDER BY message_id, target LIMIT $2`,
    [workspaceId, limit, after?.messageId ?? null, after?.target ?? null],
  )
  return rows
}

/** What became of an operator's word. */
export type Resolved = { readonly kind: 'done' } | { readonly kind: 'missing' } | { readonly kind: 'refused'; readonly why: string }

// Every target of the message, in the order in which all of the ledger's statements lock them.
const askedSql = `
SELECT target, l.state, l.uncertain, l.resolved, m.withdrawn AS "isWithdrawn", m.expires_at <= clock_timestamp() AS "isExpired"
FROM ledger l JOIN messages m USING (message_id)
WHERE message_id = $1 AND m.workspace_id = $2 ORDER BY message_id, target FOR UPDATE`

/** Takes an operator's word on one target; said again it changes nothing. */
export async function resolveUncertain(
  pool: Pool,
  { workspaceId, messageId, target, as }: { workspaceId: string; messageId: string; target: string; as: Resolution },
  options: SettleOptions,
): Promise<Resolved> {
  return inTransaction(pool, async (tx: PoolClient): Promise<Resolved> => {
    type Asked = Pick<Target, 'target' | 'state' | 'uncertain' | 'resolved' | 'isWithdrawn'> & { readonly isExpired: boolean }
    const { rows } = await tx.query<Asked>(askedSql, [messageId, workspaceId])
    const asked = rows.find((row) => row.target === target)
    if (asked === undefined) return { kind: 'missing' }
    const why = resolutionProblem(asked, as)
    if (why !== null) return { kind: 'refused', why }
    await settle(tx, [{ kind: 'resolved', messageId, target, as }], options)
    return { kind: 'done' }
  })
}
