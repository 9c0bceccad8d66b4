// The ledger in SQL: claim, begin, settle. What was possibly sent is committed before the first byte is.
// The statements of every claim have names, so that PostgreSQL plans each once a connection: their plans cost more than their work.
import type { Pool, PoolClient } from 'pg'
import { parseMessageId, topics } from '@stepcast/contracts'
import { enqueue, type OutboxRecord } from '@stepcast/postgres'
import { answerOf, improves, reportOf, type Answer } from './answer'
import { transition, type DeadAddress, type Fact, type RetryPolicy, type Target, type Transition } from './transition'

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
  RETURNING ledger.message_id, ledger.target, ledger.fence
)
SELECT claimed.message_id AS "messageId", claimed.target, claimed.fence, workspace_id AS "workspaceId", user_id AS "userId",
  template_id AS "templateId", template_version AS "templateVersion", variables, window_ms AS "windowMs", answer,
  (extract(epoch FROM now()) * 1000)::float8 AS "nowMs"
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

// Rows are locked in the order of their key, as everywhere here, so that no two statements wait for each other in a circle.
const beginSql = `
WITH begun AS (
  SELECT message_id, target FROM ledger JOIN unnest($1::text[], $2::text[], $3::int[]) AS claimed (m, t, f)
    ON message_id = m AND target = t AND fence = f
  WHERE due_at IS NOT NULL AND deadline_at > now()
  ORDER BY message_id, target FOR UPDATE OF ledger
)
UPDATE ledger SET state = 'attempting', attempts = attempts + 1, due_at = NULL, deadline_at = now() + $4 * interval '1 millisecond'
FROM begun WHERE ledger.message_id = begun.message_id AND ledger.target = begun.target
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

/** What {@link settle} needs to know of its dispatcher. */
export interface SettleOptions {
  /** The service's name, as `source` of its reports. */
  readonly service: string
  readonly backoffMs: RetryPolicy['backoffMs']
  /** Where attempts of unknown outcome are repeated: `always` where repeats collapse, else for the workspaces that say so. */
  readonly resendUnknown: 'always' | ((tx: PoolClient, workspaceIds: readonly string[]) => Promise<ReadonlySet<string>>)
}

interface SettlingRow extends Target {
  /** See {@link Transition.isOpen}. */
  readonly isOpen: boolean
  readonly workspaceId: string
  readonly traceparent: string | null
  readonly answer: Answer | null
  readonly nowMs: number
}

const lockSql = `
SELECT message_id AS "messageId", target, provider, l.state, l.attempts, l.fence, l.uncertain, l.reason, l.resolved,
  l.provider_message_id AS "providerMessageId",
  l.deadline_at IS NOT NULL AS "isOpen", m.workspace_id AS "workspaceId", m.traceparent, m.answer,
  m.withdrawn OR message_id = ANY($2::text[]) AS "isWithdrawn", (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "nowMs"
FROM messages m JOIN ledger l USING (message_id)
WHERE message_id = ANY($1::text[]) ORDER BY message_id, target FOR UPDATE`

const settleTargetsSql = `
UPDATE ledger SET state = settled.state, uncertain = settled.uncertain, reason = settled.reason,
  provider_message_id = settled.provider_message_id, due_at = now() + settled.due_in_ms * interval '1 millisecond',
  deadline_at = CASE WHEN settled.is_open THEN messages.expires_at END, resolved = settled.resolved
FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::float8[], $8::bool[], $9::text[])
  AS settled (message_id, target, state, uncertain, reason, provider_message_id, due_in_ms, is_open, resolved), messages
WHERE ledger.message_id = settled.message_id AND ledger.target = settled.target AND messages.message_id = settled.message_id`

// Variables are personal and of no use once nothing is left to be sent.
const answerSql = `
UPDATE messages SET answer = coalesce(given.answer, messages.answer), variables = CASE WHEN given.is_over THEN '{}' ELSE variables END,
  withdrawn = given.is_withdrawn
FROM unnest($1::text[], $2::jsonb[], $3::bool[], $4::bool[]) AS given (message_id, answer, is_over, is_withdrawn)
WHERE messages.message_id = given.message_id`

const deadSql = `
INSERT INTO dead_addresses (workspace_id, user_id, target, address, dead_since)
SELECT w, u, t, a, to_timestamp(since / 1000)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[]) AS dead (w, u, t, a, since)
ON CONFLICT (workspace_id, user_id, target)
  DO UPDATE SET address = excluded.address, dead_since = excluded.dead_since, due_at = now(), attempts = 0`

/**
 * Writes down what happened to targets, and what their messages answer because of it: reports enter the outbox in the same transaction.
 * Facts of earlier claims are recognised and dropped, except an acceptance, which is true however late.
 * Answers whether any of these targets may be attempted again.
 */
export async function settle(tx: PoolClient, facts: readonly Fact[], options: SettleOptions): Promise<boolean> {
  const withdrawn = facts.filter(({ kind }) => kind === 'withdrawn').map(({ messageId }) => messageId)
  const values = [[...new Set(facts.map(({ messageId }) => messageId))], withdrawn]
  const { rows } = await tx.query<SettlingRow>({ name: 'lock', text: lockSql, values })
  const byMessage = new Map<string, SettlingRow[]>()
  for (const row of rows) byMessage.set(row.messageId, [...(byMessage.get(row.messageId) ?? []), row])
  const resends = await resendingWorkspaces(tx, facts, rows, options)
  const changed = new Map<string, Transition & { messageId: string; target: string }>()
  const dead: (DeadAddress & { target: string })[] = []

  for (const fact of facts) {
    const targets = byMessage.get(fact.messageId) ?? []
    targets.forEach((row, i) => {
      if (fact.kind !== 'withdrawn' && fact.target !== row.target) return
      const next = transition(row, fact, { backoffMs: options.backoffMs, resendUnknown: resends === 'all' || resends.has(row.workspaceId) })
      if (next === null) return
      targets[i] = { ...row, ...next }
      changed.set(targetKey(row), { ...next, messageId: row.messageId, target: row.target })
    })
    if (fact.kind === 'attempted' && fact.dead !== null) dead.push({ ...fact.dead, target: fact.target })
  }
  await writeTargets(tx, [...changed.values()])
  await writeAnswers(tx, [...byMessage.values()], options.service)
  await writeDead(tx, dead)
  return [...changed.values()].some(({ isOpen }) => isOpen)
}

/** Asked only where it matters: some fact may leave an outcome unknown. */
async function resendingWorkspaces(
  tx: PoolClient,
  facts: readonly Fact[],
  rows: readonly SettlingRow[],
  { resendUnknown }: SettleOptions,
): Promise<'all' | ReadonlySet<string>> {
  if (resendUnknown === 'always') return 'all'
  const matters = facts.some((fact) => fact.kind === 'overdue' || (fact.kind === 'attempted' && fact.outcome.kind === 'unknown'))
  return matters ? resendUnknown(tx, [...new Set(rows.map(({ workspaceId }) => workspaceId))]) : new Set()
}

async function writeTargets(tx: PoolClient, changed: readonly (Transition & { messageId: string; target: string })[]): Promise<void> {
  if (changed.length === 0) return
  const values = [
    changed.map(({ messageId }) => messageId),
    changed.map(({ target }) => target),
    changed.map(({ state }) => state),
    changed.map(({ uncertain }) => uncertain),
    changed.map(({ reason }) => reason),
    changed.map(({ providerMessageId }) => providerMessageId),
    changed.map(({ dueInMs }) => dueInMs),
    changed.map(({ isOpen }) => isOpen),
    changed.map(({ resolved }) => resolved),
  ]
  await tx.query({ name: 'settle-targets', text: settleTargetsSql, values })
}

async function writeAnswers(tx: PoolClient, messages: readonly (readonly SettlingRow[])[], service: string): Promise<void> {
  const given = messages.flatMap((targets) => {
    const [{ messageId, workspaceId, traceparent, answer: before, nowMs, isWithdrawn }] = targets as [SettlingRow]
    const now = answerOf(targets, Math.round(nowMs))
    const answer = now !== null && improves(before, now) ? now : null
    const isOver = !targets.some(({ isOpen }) => isOpen)
    return answer !== null || isOver || isWithdrawn ? [{ messageId, workspaceId, traceparent, answer, isOver, isWithdrawn }] : []
  })
  if (given.length === 0) return
  const values = [
    given.map(({ messageId }) => messageId),
    given.map(({ answer }) => (answer === null ? null : JSON.stringify(answer))),
    given.map(({ isOver }) => isOver),
    given.map(({ isWithdrawn }) => isWithdrawn),
  ]
  await tx.query({ name: 'answer', text: answerSql, values })
  await enqueueReports(
    tx,
    given.flatMap(({ answer, ...message }) => (answer === null ? [] : [{ ...message, answer }])),
    service,
  )
}

async function writeDead(tx: PoolClient, dead: readonly (DeadAddress & { target: string })[]): Promise<void> {
  if (dead.length === 0) return
  // The last of each: one statement may not change a row twice.
  const last = [...new Map(dead.map((one) => [`${one.workspaceId}/${one.userId}/${one.target}`, one])).values()]
  await tx.query(deadSql, [
    last.map(({ workspaceId }) => workspaceId),
    last.map(({ userId }) => userId),
    last.map(({ target }) => target),
    last.map(({ address }) => address),
    last.map(({ sinceMs }) => sinceMs),
  ])
}

/** A message with what it answers. */
export interface Answered {
  readonly messageId: string
  readonly workspaceId: string
  /** Of its command: the report carries the trace on. */
  readonly traceparent: string | null
  readonly answer: Answer
}

/** Puts reports into the outbox, keyed by sequence. */
export async function enqueueReports(tx: PoolClient, answers: readonly Answered[], service: string): Promise<void> {
  const records = answers.map(({ messageId, workspaceId, traceparent, answer }): OutboxRecord<'EngagementReported'> => ({
    topic: topics.engagements,
    key: parseMessageId(messageId)!.sequenceId,
    value: reportOf(workspaceId, messageId, service, answer),
    traceparent,
  }))
  await enqueue(tx, records)
}

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
  const { rowCount } = await pool.query(
    `WITH old AS (
       SELECT message_id FROM messages WHERE received_at < now() - interval '30 days'
         AND NOT EXISTS (SELECT FROM ledger WHERE ledger.message_id = messages.message_id AND deadline_at IS NOT NULL) LIMIT $1
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
