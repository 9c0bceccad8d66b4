// What became of targets, in SQL: rows are locked, the rules of transition.ts applied, and reports enter the outbox with them.
import type { PoolClient } from 'pg'
import { parseMessageId, topics } from '@stepcast/contracts'
import { enqueueTogether, ints, texts } from '@stepcast/postgres'
import { answerOf, improves, reportOf, type Answer } from './answer'
import { targetKey } from './ledger'
import { transition, type Alone, type DeadAddress, type Fact, type RetryPolicy, type Target, type Transition } from './transition'
import type { Unsubscribes } from './unsubscribes'

/** What {@link settle} needs to know of its dispatcher. */
export interface SettleOptions {
  /** The service's name, as `source` of its reports. */
  readonly service: string
  readonly backoffMs: RetryPolicy['backoffMs']
  /** Where it is written down whom a provider refuses because the person says so; null: this channel has no such thing. */
  readonly unsubscribes: Pick<Unsubscribes, 'refused'> | null
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
FROM ledger l JOIN messages m USING (message_id)
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

// Locks targets before messages, as `settle` does.
const settleAloneSql = `
WITH settled AS (
  UPDATE ledger SET state = given.state, reason = given.reason, provider_message_id = given.provider_message_id, deadline_at = NULL
  FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[])
    WITH ORDINALITY AS given (message_id, target, fence, state, reason, provider_message_id, position)
  WHERE ledger.message_id = given.message_id AND ledger.target = given.target AND ledger.fence = given.fence AND ledger.state = 'attempting'
  RETURNING given.message_id, given.position
)
UPDATE messages SET answer = $7::jsonb -> (settled.position - 1)::int, variables = '{}' FROM settled WHERE messages.message_id = settled.message_id
RETURNING messages.message_id AS "messageId"`

/**
 * The short way of first attempts that ended for good and whose message has no other target: nothing has to be read to know what becomes of
 * it, only that nobody was faster. Answers the facts that are settled by this; the others are for {@link settle}, in a transaction of its
 * own, so that all rows of one are locked in the order of their keys.
 */
export async function settleAlone(tx: PoolClient, facts: readonly Fact[], options: SettleOptions): Promise<ReadonlySet<Fact>> {
  const ended: Ended[] = []
  for (const fact of facts) {
    if (fact.kind !== 'attempted' || fact.alone === null) continue
    const { messageId, target, fence, alone } = fact
    const row: Target = { messageId, target, provider: alone.provider, fence, ...firstAttempt }
    const next = transition(row, fact, { backoffMs: options.backoffMs, resendUnknown: true })
    if (next === null || next.isOpen) continue
    const { state, uncertain, reason, providerMessageId, detail } = next
    const answer = answerOf([{ target, provider: alone.provider, state, uncertain, reason, providerMessageId, detail }], alone.nowMs())!
    ended.push({ fact, alone, next, answer })
  }
  if (ended.length === 0) return new Set()
  ended.sort((a, b) => (a.fact.messageId < b.fact.messageId ? -1 : 1))
  const values = [
    texts(ended.map(({ fact }) => fact.messageId)),
    texts(ended.map(({ fact }) => fact.target)),
    ints(ended.map(({ fact }) => fact.fence)),
    texts(ended.map(({ next }) => next.state)),
    texts(ended.map(({ next }) => next.reason)),
    texts(ended.map(({ next }) => next.providerMessageId)),
    JSON.stringify(ended.map(({ answer }) => answer)),
  ]
  const { rows } = await tx.query<{ messageId: string }>({ name: 'settle-alone', text: settleAloneSql, values })
  const written = new Set(rows.map(({ messageId }) => messageId))
  const settled = ended.filter(({ fact }) => written.has(fact.messageId))
  await enqueueReports(
    tx,
    settled.map(({ fact: { messageId }, alone: { workspaceId, traceparent }, answer }) => ({
      messageId,
      workspaceId,
      traceparent,
      answer,
    })),
    options.service,
  )
  await writeDead(
    tx,
    settled.flatMap(({ fact }) => (fact.dead === null ? [] : [{ ...fact.dead, target: fact.target }])),
  )
  await writeRefused(
    tx,
    settled.map(({ fact }) => fact),
    options,
  )
  return new Set(settled.map(({ fact }) => fact))
}

interface Ended {
  readonly fact: Extract<Fact, { kind: 'attempted' }>
  readonly alone: Alone
  readonly next: Transition
  readonly answer: Answer
}

/** A target during its first attempt. */
const firstAttempt = {
  state: 'attempting',
  attempts: 1,
  uncertain: false,
  reason: null,
  providerMessageId: null,
  isWithdrawn: false,
  resolved: null,
} as const

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
  await writeRefused(tx, facts, options)
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
    const answer = now !== null && improves(before, now) ? withCost(before, now) : null
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

/** Who confirms a message of unknown outcome does not know what it was charged as: the attempt did (segments). */
const withCost = (before: Answer | null, now: Answer): Answer =>
  before?.kind === 'unknown' && now.kind === 'requested' ? { ...now, detail: { ...before.detail, ...now.detail } } : now

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

async function writeRefused(tx: PoolClient, facts: readonly Fact[], { unsubscribes }: SettleOptions): Promise<void> {
  const refused = facts.flatMap((fact) => (fact.kind === 'attempted' && fact.refused ? [fact.refused] : []))
  if (refused.length > 0) await unsubscribes?.refused(tx, refused)
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
  const records = answers.map(({ messageId, workspaceId, traceparent, answer }) => ({
    key: parseMessageId(messageId)!.sequenceId,
    value: reportOf(workspaceId, messageId, service, answer),
    traceparent,
  }))
  await enqueueTogether(tx, topics.engagements, records)
}
