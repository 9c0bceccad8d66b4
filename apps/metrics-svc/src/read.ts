// Reads counts: of templates from the counters and, at the ends of a range, from rows of sequences; of sends and campaigns from rows.
import type { Pool, PoolClient } from 'pg'
import { inTransaction } from '@stepcast/postgres'
import { factsOf, type Fact, type State } from './state'
import { spansOf, type Range } from './spans'

/** How often each fact holds, by step, then channel (''= the step itself), then name. Step 0 is the sequence. */
export class Counts {
  private readonly byStep = new Map<number, Map<string, Map<string, number>>>()

  add({ step, channelType, name }: Fact, n: number): void {
    let channels = this.byStep.get(step)
    if (!channels) this.byStep.set(step, (channels = new Map()))
    let names = channels.get(channelType)
    if (!names) channels.set(channelType, (names = new Map()))
    names.set(name, (names.get(name) ?? 0) + n)
  }

  of(step: number, channelType: string, name: string): number {
    return this.byStep.get(step)?.get(channelType)?.get(name) ?? 0
  }

  /** The last step that was ever entered. */
  get lastStep(): number {
    return Math.max(0, ...this.byStep.keys())
  }

  /** The channels of which anything was ever reported at a step. */
  channelsOf(step: number): string[] {
    return [...(this.byStep.get(step)?.keys() ?? [])].filter((channelType) => channelType !== '')
  }
}

/** What a template's numbers are asked for. */
export interface TemplateQuestion extends Range {
  readonly workspaceId: string
  readonly templateId: string
  /** null: all versions, merged by position. */
  readonly version: number | null
}

// Counters of past hours, and those that batches are adding to: see gather.ts.
const counted = `(SELECT workspace_id, template_id, template_version, hour, step, channel_type, name, n FROM counts UNION ALL
  SELECT workspace_id, template_id, template_version, hour, step, channel_type, name, n FROM counts_by_partition) AS counted`

// The numbers of one answer are of one moment, or they would not add up while batches are folded.
const atOneMoment = <T>(pool: Pool, work: (tx: PoolClient) => Promise<T>): Promise<T> =>
  inTransaction(pool, async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
    return work(tx)
  })

/** Rows of sequences are certain to be there for 90 days; the purge takes them at 97. */
const exactSince = (now: number): number => now - 90 * 24 * 3_600_000

/** Counts of a template's sequences that started in the range. */
export function readTemplate(pool: Pool, { workspaceId, templateId, version, from, to }: TemplateQuestion, now: number): Promise<Counts> {
  const { hours, ends } = spansOf({ from, to }, exactSince(now))
  return atOneMoment(pool, async (tx) => {
    const counts = new Counts()
    if (hours) {
      const { rows } = await tx.query<{ step: number; channel_type: string; name: string; n: number }>(
        `SELECT step, channel_type, name, sum(n)::bigint AS n FROM ${counted}
         WHERE workspace_id = $1 AND template_id = $2 AND ($3::int IS NULL OR template_version = $3) AND hour >= $4 AND hour < $5
         GROUP BY step, channel_type, name`,
        [workspaceId, templateId, version, lowest(hours.from), highest(hours.to)],
      )
      for (const { step, channel_type: channelType, name, n } of rows) counts.add({ step, channelType, name }, n)
    }
    for (const end of ends) {
      const { rows } = await tx.query<{ state: State; n: number }>(
        `SELECT state, count(*) AS n FROM sequences
         WHERE workspace_id = $1 AND template_id = $2 AND ($3::int IS NULL OR template_version = $3)
           AND started_at >= $4 AND started_at < $5
         GROUP BY state`,
        [workspaceId, templateId, version, new Date(end.from), new Date(end.to)],
      )
      addStates(counts, rows)
    }
    return counts
  })
}

/** A send or campaign as its sequences tell of it. */
export interface Sent {
  readonly templateId: string
  readonly templateVersion: number
  readonly source: string
  readonly requestedAt: Date
  readonly counts: Counts
}

/**
 * Counts of one send or campaign, from its sequences' rows: 20,000 took 100 ms on two cores that were busy with other work. Null: none of
 * its sequences has started, or the last started over 97 days ago.
 */
export function readSent(pool: Pool, kind: 'send' | 'campaign', workspaceId: string, id: string): Promise<Sent | null> {
  const column = kind === 'send' ? 'send_id' : 'campaign_id'
  return atOneMoment(pool, async (tx) => {
    const {
      rows: [first],
    } = await tx.query<{ template_id: string; template_version: number; source: string; requested_at: Date }>(
      `SELECT template_id, template_version, source, requested_at FROM sequences
       WHERE workspace_id = $1 AND ${column} = $2 ORDER BY requested_at, sequence_id LIMIT 1`,
      [workspaceId, id],
    )
    if (!first) return null
    const { rows } = await tx.query<{ state: State; n: number }>(
      `SELECT state, count(*) AS n FROM sequences WHERE workspace_id = $1 AND ${column} = $2 GROUP BY state`,
      [workspaceId, id],
    )
    const counts = new Counts()
    addStates(counts, rows)
    return {
      templateId: first.template_id,
      templateVersion: first.template_version,
      source: first.source,
      requestedAt: first.requested_at,
      counts,
    }
  })
}

/** Outcomes of each template of a workspace. */
export function readOverview(pool: Pool, workspaceId: string, { from, to }: Range, now: number): Promise<Map<string, Counts>> {
  const { hours, ends } = spansOf({ from, to }, exactSince(now))
  return atOneMoment(pool, async (tx) => {
    const templates = new Map<string, Counts>()
    const countsOf = (templateId: string): Counts => {
      const known = templates.get(templateId) ?? new Counts()
      templates.set(templateId, known)
      return known
    }
    if (hours) {
      const { rows } = await tx.query<{ template_id: string; name: string; n: number }>(
        `SELECT template_id, name, sum(n)::bigint AS n FROM ${counted}
         WHERE workspace_id = $1 AND step = 0 AND hour >= $2 AND hour < $3 GROUP BY template_id, name`,
        [workspaceId, lowest(hours.from), highest(hours.to)],
      )
      for (const row of rows) countsOf(row.template_id).add({ step: 0, channelType: '', name: row.name }, row.n)
    }
    for (const end of ends) {
      const { rows } = await tx.query<{ template_id: string; state: State; n: number }>(
        `SELECT template_id, state, count(*) AS n FROM sequences
         WHERE workspace_id = $1 AND started_at >= $2 AND started_at < $3 GROUP BY template_id, state`,
        [workspaceId, new Date(end.from), new Date(end.to)],
      )
      for (const row of rows) addStates(countsOf(row.template_id), [row])
    }
    return templates
  })
}

const lowest = (at: number | null): string => (at === null ? '-infinity' : new Date(at).toISOString())
const highest = (at: number | null): string => (at === null ? 'infinity' : new Date(at).toISOString())

function addStates(counts: Counts, rows: readonly { state: State; n: number }[]): void {
  for (const { state, n } of rows) for (const fact of factsOf(state)) counts.add(fact, n)
}
