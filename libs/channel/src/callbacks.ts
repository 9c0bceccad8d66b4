// Callbacks of providers: what they say becomes reports, once each, however often and in whatever order it is said.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import { parseMessageId, topics, type ChannelType } from '@stepcast/contracts'
import { enqueue, type OutboxRecord } from '@stepcast/postgres'
import type { ProviderStatus } from './callback'
import type { Dispatch } from './dispatch'
import { numberTarget } from './number'

/** Who called whom. */
export interface CalledBack {
  readonly workspaceId: string
  readonly provider: string
}

interface SpokenOf {
  readonly messageId: string
  readonly state: string
  readonly traceparent: string | null
  /** When it was answered, or else taken: milliseconds of the database's clock. */
  readonly atMs: number
}

// A provider may call back before it has answered. Its answer tells more (segments, price), so it is waited for; those that wait are
// attempts under way, which the lanes bound.
const answerWaitMs = 2_000
const everyMs = 50

/**
 * Takes what a provider says of messages: those not answered for yet are `requested` by it, then delivered, failed or skipped is reported. Messages
 * that this workspace never had attempted by this provider are passed over: a provider's account may serve others too.
 */
export async function takeStatuses(
  dispatch: Pick<Dispatch<ChannelType>, 'confirm' | 'unsubscribes'>,
  pool: Pool,
  by: CalledBack,
  statuses: readonly ProviderStatus[],
): Promise<void> {
  // A provider hands back what others wrote into their messages as well.
  const best = bestOfEach(statuses.filter(({ messageId }) => parseMessageId(messageId) !== null))
  if (best.size === 0) return
  const spokenOf = await answered(pool, by, [...best.keys()])
  if (spokenOf.length === 0) return
  const facts = spokenOf
    .filter(({ state }) => state !== 'accepted')
    .map(({ messageId }) => ({ messageId, target: numberTarget, providerMessageId: best.get(messageId)!.providerMessageId }))
  // Most callbacks say that what was accepted is on its way.
  if (facts.length === 0 && spokenOf.every(({ messageId }) => best.get(messageId)!.status === null)) return
  await dispatch.confirm(facts, async (tx) => {
    const news = await report(tx, by, spokenOf, best)
    await dispatch.unsubscribes?.refused(
      tx,
      news.flatMap(({ messageId, atMs }) => {
        const { refused } = best.get(messageId)!
        return refused === undefined ? [] : [{ workspaceId: by.workspaceId, ...refused, atMs }]
      }),
    )
  })
}

/** One status of each message of a call, the better of several. */
function bestOfEach(statuses: readonly ProviderStatus[]): ReadonlyMap<string, ProviderStatus> {
  const best = new Map<string, ProviderStatus>()
  for (const one of statuses) {
    const before = best.get(one.messageId)
    if (before === undefined || rank(one) > rank(before)) best.set(one.messageId, one)
  }
  return best
}

const rank = ({ status }: ProviderStatus): number => (status === 'delivered' ? 2 : status === null ? 0 : 1)

async function answered(pool: Pool, by: CalledBack, messageIds: readonly string[]): Promise<readonly SpokenOf[]> {
  const until = performance.now() + answerWaitMs
  for (;;) {
    const found = await attemptedOf(pool, by, messageIds)
    if (performance.now() >= until || !found.some(({ state }) => state === 'attempting')) return found
    await sleep(everyMs)
  }
}

async function attemptedOf(pool: Pool, { workspaceId, provider }: CalledBack, messageIds: readonly string[]): Promise<SpokenOf[]> {
  const { rows } = await pool.query<SpokenOf>(
    `SELECT message_id AS "messageId", ledger.state, traceparent,
       coalesce((answer->>'occurredAt')::float8, extract(epoch FROM received_at) * 1000)::float8 AS "atMs" FROM ledger JOIN messages USING (message_id)
     WHERE message_id = ANY($1::text[]) AND ledger.workspace_id = $2 AND provider = $3 AND target = $4 AND attempts > 0`,
    [messageIds, workspaceId, provider, numberTarget],
  )
  return rows
}

// A status never regresses: failed or skipped, then delivered, tells twice; the other way around, or the same again, tells nothing.
const statusSql = `
INSERT INTO statuses (message_id, status)
SELECT told.message_id, told.status FROM unnest($1::text[], $2::text[]) AS told (message_id, status) ORDER BY told.message_id
ON CONFLICT (message_id) DO UPDATE SET status = excluded.status WHERE statuses.status <> 'delivered' AND excluded.status = 'delivered'
RETURNING message_id AS "messageId"`

/** Reports what is new of final statuses; answers of which messages it is. */
async function report(
  tx: PoolClient,
  { workspaceId, provider }: CalledBack,
  spokenOf: readonly SpokenOf[],
  best: ReadonlyMap<string, ProviderStatus>,
): Promise<readonly SpokenOf[]> {
  const final = spokenOf.filter(({ messageId }) => best.get(messageId)!.status !== null)
  if (final.length === 0) return []
  const { rows } = await tx.query<{ messageId: string }>(statusSql, [
    final.map(({ messageId }) => messageId),
    final.map(({ messageId }) => best.get(messageId)!.status),
  ])
  const isNews = new Set(rows.map(({ messageId }) => messageId))
  const news = final.filter(({ messageId }) => isNews.has(messageId))
  const records = news.map(({ messageId, traceparent }): OutboxRecord<'EngagementReported'> => {
    const { status, reason, providerMessageId } = best.get(messageId)!
    return {
      topic: topics.engagements,
      key: parseMessageId(messageId)!.sequenceId,
      value: {
        workspaceId,
        messageId,
        kind: status!,
        occurredAt: Date.now(),
        source: 'provider',
        reason,
        providerMessageId,
        detail: { provider, target: numberTarget },
      },
      traceparent,
    }
  })
  await enqueue(tx, records)
  return news
}
