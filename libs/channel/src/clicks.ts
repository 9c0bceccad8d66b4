// Visits of tracked links: everybody is led on, the first visit of a person is reported as a click.
import type { Pool, PoolClient } from 'pg'
import { parseMessageId, topics, type ChannelType } from '@stepcast/contracts'
import type { Log } from '@stepcast/kafka'
import { enqueue, type OutboxRecord } from '@stepcast/postgres'
import { Counter, type Registry } from 'prom-client'
import type { Dispatch } from './dispatch'
import { findLink, type Link } from './links'
import { isFollowable } from './linksInText'
import type { LinkTokens } from './linkTokens'
import { numberTarget } from './number'
import { isClick, type VisitRequest } from './visits'

/** What a visitor gets. `unknown`: we made no such token. `gone`: it has expired, or its user was erased. */
export type LinkAnswer = { readonly kind: 'redirect'; readonly target: string } | { readonly kind: 'unknown' } | { readonly kind: 'gone' }

/** What visits are answered with. */
export interface LinkVisitsOptions {
  readonly pool: Pool
  readonly tokens: LinkTokens
  readonly dispatch: Pick<Dispatch<ChannelType>, 'confirm'>
  readonly log: Log
  readonly registry: Registry
}

// Phones take for a part of a link what is written right behind it: a Korean particle ("…/l/sAbc에서"), a bracket. No token has such letters.
const tokenIn = (asked: string): string => /^[A-Za-z0-9_-]*/.exec(asked)![0]

// A person does not wait for our bookkeeping: it is 5 ms, or the database is in trouble and the click is stored when it is over that.
const patienceMs = 1_000

/** Answers visits. */
export class LinkVisits {
  private readonly visits: Counter<'as'>

  constructor(private readonly options: LinkVisitsOptions) {
    this.visits = new Counter({
      name: 'stepcast_link_visits_total',
      help: 'Visits of tracked links: click (the first of a person), repeat, preview (programs, prefetches, HEAD), gone, unknown.',
      labelNames: ['as'],
      registers: [options.registry],
    })
  }

  /** Where a visitor is led. The click is in the database when this answers, unless that takes over a second. */
  async visit(asked: string, request: VisitRequest): Promise<LinkAnswer> {
    const { pool, tokens } = this.options
    const token = tokenIn(asked)
    if (!tokens.isGenuine(token)) return this.counted('unknown', { kind: 'unknown' })
    const link = await findLink(pool, token)
    if (link === null || !isFollowable(link.target)) return this.counted('gone', { kind: 'gone' })
    // As a URL is serialised: no character of it can end the header it goes into.
    const answer: LinkAnswer = { kind: 'redirect', target: new URL(link.target).href }
    if (!isClick(request)) return this.counted('preview', answer)
    if (link.isClicked) return this.counted('repeat', answer)
    await this.patiently(this.click(link))
    return this.counted('click', answer)
  }

  /** Stores the first click of a link with its report. Its message has arrived, so an attempt of unknown outcome is settled too. */
  private async click(link: Link): Promise<void> {
    const { rows } = await this.options.pool.query<{ isUnknown: boolean; traceparent: string | null; provider: string }>(
      `SELECT ledger.state = 'unknown' AS "isUnknown", traceparent, provider FROM ledger JOIN messages USING (message_id)
       WHERE message_id = $1 AND ledger.workspace_id = $2 AND target = $3`,
      [link.messageId, link.workspaceId, numberTarget],
    )
    const [row] = rows
    if (row === undefined) return
    const facts = row.isUnknown ? [{ messageId: link.messageId, target: numberTarget, providerMessageId: null }] : []
    await this.options.dispatch.confirm(facts, (tx) => report(tx, link, row))
  }

  private async patiently(storing: Promise<void>): Promise<void> {
    const settled = storing.catch((error: Error) => this.options.log.warn({ error: error.message }, 'a click could not be stored'))
    let timer: NodeJS.Timeout | undefined
    await Promise.race([settled, new Promise((resolve) => (timer = setTimeout(resolve, patienceMs)))])
    clearTimeout(timer)
  }

  private counted(as: string, answer: LinkAnswer): LinkAnswer {
    this.visits.inc({ as })
    return answer
  }
}

async function report(
  tx: PoolClient,
  { token, workspaceId, messageId, buttonId }: Link,
  { traceparent, provider }: { traceparent: string | null; provider: string },
): Promise<void> {
  const { rowCount } = await tx.query('UPDATE links SET clicked_at = now() WHERE token = $1 AND clicked_at IS NULL', [token])
  if (rowCount === 0) return
  const record: OutboxRecord<'EngagementReported'> = {
    topic: topics.engagements,
    key: parseMessageId(messageId)!.sequenceId,
    value: {
      workspaceId,
      messageId,
      kind: 'clicked',
      occurredAt: Date.now(),
      source: 'link',
      reason: null,
      providerMessageId: null,
      detail: { provider, target: numberTarget, ...(buttonId === null ? {} : { buttonId }) },
    },
    traceparent,
  }
  await enqueue(tx, [record])
}
