// The ledger in SQL: claim, begin, look after what is overdue. What was possibly sent is committed before the first byte is.
// The statements of every claim have names, so that PostgreSQL plans each once a connection: their plans cost more than their work.
import type { Pool, PoolClient } from 'pg'
import type { Answer } from './answer'
import type { Alone, Fact } from './transition'

/** A target with work, taken by this process until its lease ends. */
export interface Claimed {
  readonly messageId: string
  readonly target: string
  readonly fence: number
  readonly workspaceId: string
  readonly userId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly variables: Readonly<Record<string, string>>
  readonly windowMs: number | null
  readonly answer: Answer | null
  /** The database's clock at the claim, milliseconds. */
  readonly nowMs: number
  /** Whether an operator asked for this attempt. */
  readonly isAskedFor: boolean
  /** See {@link Alone}. */
  readonly alone: Alone | null
}

/** The fence of a target that is attempted as it is stored: that of its first claim. */
export const firstFence = 1

/** A workspace with work for a provider, and when its first piece is due (0 or less: now). */
export interface DueWorkspace {
  readonly workspaceId: string
  readonly dueInMs: number
}

// A loose index scan: one step per workspace, however many targets each has waiting. 10,000 at a time is 50 ms.
const dueWorkspacesSql = `
WITH RECURSIVE due AS (
  (SELECT workspace_id, due_at FROM ledger WHERE provider = $1 AND due_at IS NOT NULL ORDER BY workspace_id, due_at LIMIT 1)
  UNION ALL
  SELECT following.workspace_id, following.due_at FROM due CROSS JOIN LATERAL (
    SELECT workspace_id, due_at FROM ledger WHERE provider = $1 AND due_at IS NOT NULL AND workspace_id > due.workspace_id
    ORDER BY workspace_id, due_at LIMIT 1
  ) following
)
SELECT workspace_id AS "workspaceId", (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS "dueInMs" FROM due LIMIT 10000`

/** The workspaces with anything to attempt by this provider. */
export async function dueWorkspaces(pool: Pool, provider: string): Promise<DueWorkspace[]> {
  return (await pool.query<DueWorkspace>({ name: 'due-workspaces', text: dueWorkspacesSql, values: [provider] })).rows
}

const claimSql = `
WITH chosen AS (
  SELECT picked.message_id, picked.target FROM unnest($2::text[], $3::int[]) AS share (workspace_id, take) CROSS JOIN LATERAL (
    SELECT message_id, target FROM ledger
    WHERE provider = $1 AND workspace_id = share.workspace_id AND due_at <= now() AND deadline_at > now()
    ORDER BY due_at LIMIT share.take FOR UPDATE SKIP LOCKED
  ) picked
), claimed AS (
  UPDATE ledger SET due_at = now() + $4 * interval '1 millisecond', fence = fence + 1
  FROM chosen WHERE ledger.message_id = chosen.message_id AND ledger.target = chosen.target
  RETURNING ledger.message_id, ledger.target, ledger.fence, ledger.resolved IS NOT DISTINCT FROM 'resend' AS is_asked_for
)
SELECT claimed.message_id AS "messageId", claimed.target, claimed.fence, workspace_id AS "workspaceId", user_id AS "userId",
  template_id AS "templateId", template_version AS "templateVersion", variables, window_ms AS "windowMs", answer,
  (extract(epoch FROM now()) * 1000)::float8 AS "nowMs", is_asked_for AS "isAskedFor", NULL AS alone
FROM claimed JOIN messages USING (message_id)`

/** Takes due targets, at most `take` of each workspace, for `leaseMs`. One that is not begun until then is free again. */
export async function claim(
  pool: Pool,
  provider: string,
  shares: readonly { workspaceId: string; take: number }[],
  leaseMs: number,
): Promise<Claimed[]> {
  const values = [provider, shares.map(({ workspaceId }) => workspaceId), shares.map(({ take }) => take), leaseMs]
  const { rows } = await pool.query<Claimed>({ name: 'claim', text: claimSql, values })
  return rows
}

// Rows are locked in the order of their key, as everywhere here, so that no two statements wait for each other in a circle. Whether a row
// is still due is judged after that: as a condition of the search it made PostgreSQL compare all that is due with all that is claimed,
// where its statistics were of an hour when nothing was due (seen: 80 targets in 2 s, at 50,000 due).
const beginSql = `
WITH locked AS (
  SELECT message_id, target, due_at IS NOT NULL AND deadline_at > now() AS is_free
  FROM ledger JOIN unnest($1::text[], $2::text[], $3::int[]) AS claimed (m, t, f) ON message_id = m AND target = t AND fence = f
  ORDER BY message_id, target FOR UPDATE OF ledger
)
UPDATE ledger SET state = 'attempting', attempts = attempts + 1, due_at = NULL, deadline_at = now() + $4 * interval '1 millisecond'
FROM locked WHERE ledger.message_id = locked.message_id AND ledger.target = locked.target AND locked.is_free
RETURNING ledger.message_id AS "messageId", ledger.target`

/** Commits that these targets are being attempted; answers those for which it holds (not withdrawn, expired or taken over since). */
export async function begin(pool: Pool, claimed: readonly Claimed[], leaseMs: number): Promise<ReadonlySet<string>> {
  const values = [
    claimed.map(({ messageId }) => messageId),
    claimed.map(({ target }) => target),
    claimed.map(({ fence }) => fence),
    leaseMs,
  ]
  const { rows } = await pool.query<{ messageId: string; target: string }>({ name: 'begin', text: beginSql, values })
  return new Set(rows.map(targetKey))
}

/** Names a target of a message in a map. */
export const targetKey = ({ messageId, target }: { messageId: string; target: string | null }): string => `${messageId} ${target}`

/** Targets whose deadline has passed, the oldest first. */
export async function overdue(pool: Pool, limit: number): Promise<Fact[]> {
  const { rows } = await pool.query<Extract<Fact, { kind: 'overdue' }>>(
    `SELECT 'overdue' AS kind, message_id AS "messageId", target, fence, state
     FROM ledger WHERE deadline_at <= now() ORDER BY deadline_at LIMIT $1`,
    [limit],
  )
  return rows
}

/** Milliseconds until the next deadline; null when nothing waits. */
export async function nextDeadlineInMs(pool: Pool): Promise<number | null> {
  const { rows } = await pool.query<{ inMs: number | null }>(
    `SELECT (extract(epoch FROM min(deadline_at) - clock_timestamp()) * 1000)::float8 AS "inMs" FROM ledger WHERE deadline_at IS NOT NULL`,
  )
  return rows[0]!.inMs
}

/** Deletes messages over 30 days old with nothing left to attempt, with their targets; answers how many. */
export async function purge(pool: Pool, limit: number): Promise<number> {
  // Counted, since by NOT EXISTS PostgreSQL compared all open targets with all old messages: see `begin` (seen: 2,000 in 20 s).
  const { rowCount } = await pool.query(
    `WITH old AS (
       SELECT message_id FROM messages WHERE received_at < now() - interval '30 days'
         AND (SELECT count(deadline_at) FROM ledger WHERE ledger.message_id = messages.message_id) = 0
       ORDER BY received_at LIMIT $1
     ), targets AS (DELETE FROM ledger USING old WHERE ledger.message_id = old.message_id)
     DELETE FROM messages USING old WHERE messages.message_id = old.message_id`,
    [limit],
  )
  return rowCount ?? 0
}

/** Erases what is personal in the messages of users (rule 22); what is left of each is that it was sent. In the caller's transaction. */
export async function eraseUsers(tx: PoolClient, users: readonly { workspaceId: string; userId: string }[]): Promise<void> {
  const names = [users.map(({ workspaceId }) => workspaceId), users.map(({ userId }) => userId)]
  await tx.query(
    `UPDATE messages SET user_id = '', variables = '{}' FROM unnest($1::text[], $2::text[]) AS erased (w, u)
     WHERE workspace_id = w AND user_id = u`,
    names,
  )
  await tx.query(
    'DELETE FROM dead_addresses USING unnest($1::text[], $2::text[]) AS erased (w, u) WHERE workspace_id = w AND user_id = u',
    names,
  )
}
