// The story of a sequence: every event with its why, as the core explains it.
import type { Pool } from 'pg'
import { isSequenceId } from '@stepcast/contracts'
import { evolve, explain, notStarted, type Sequence, type SequenceEvent } from '@stepcast/sequence'
import { decodeChange } from './changeCodec'
import { loadSequences, outcomes, type Head } from './sql/sequences'

/** One event of a sequence: its own fields, times as RFC 3339, and when and why it happened. */
export interface StoryEntry {
  readonly type: SequenceEvent['type']
  /** Version of the change that holds it. */
  readonly version: number
  /** RFC 3339, UTC. */
  readonly recordedAt: string
  /** One sentence: what was seen and decided. */
  readonly why: string
  readonly [field: string]: unknown
}

// An event's own times; `lateByMs`, `windowMs` and `dispatchTtlMs` are durations and stay numbers.
const timeFields: ReadonlySet<string> = new Set(['requestedAt', 'commandedAt', 'expiresAt', 'until', 'occurredAt'])

const fieldsOf = ({ type, ...fields }: SequenceEvent): Pick<StoryEntry, 'type'> & Record<string, unknown> => ({
  type,
  ...Object.fromEntries(Object.entries(fields).map(([name, value]: [string, unknown]) =>
    [name, timeFields.has(name) && typeof value === 'number' ? new Date(value).toISOString() : value])),
})

/** A sequence as lists show it. */
export interface SequenceSummary {
  readonly sequenceId: string
  readonly sendId: string
  readonly userId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly state: 'running' | 'ended'
  readonly outcome: (typeof outcomes)[number] | null
}

/** A sequence with its whole history. */
export interface SequenceStory extends SequenceSummary {
  /** The current step while it runs, the step that stopped it when stopped, else the last one entered; null: none was. */
  readonly step: number | null
  readonly history: readonly StoryEntry[]
}

/** Tells a sequence of a workspace; null: there is none. */
export async function storyOf(pool: Pool, workspaceId: string, sequenceId: string): Promise<SequenceStory | null> {
  if (!isSequenceId(sequenceId)) return null
  const [loaded] = await loadSequences(pool, [sequenceId])
  if (!loaded || loaded.head.workspaceId !== workspaceId) return null
  let state: Sequence = notStarted
  const history = loaded.changes.flatMap(({ version, data }) => {
    const { recordedAt, events } = decodeChange(data)
    return events.map((event): StoryEntry => {
      const why = explain(state, event, recordedAt)
      state = evolve(state, event, recordedAt)
      return { ...fieldsOf(event), version, recordedAt: new Date(recordedAt).toISOString(), why }
    })
  })
  const { sendId, userId, templateId, templateVersion } = loaded.head
  const entered = state as Sequence
  return {
    sequenceId, sendId, userId, templateId, templateVersion,
    state: entered.status === 'running' ? 'running' : 'ended', outcome: entered.status === 'ended' ? entered.outcome : null,
    step: stepOf(entered), history,
  }
}

function stepOf(state: Sequence): number | null {
  if (state.status === 'notStarted') return null
  const entered = state.entered.at(-1)?.step ?? null
  return state.status === 'ended' ? (state.step ?? entered) : entered
}

/** Which sequences a list holds. */
export interface SequenceFilter {
  readonly sendId?: string | undefined
  readonly campaignId?: string | undefined
  readonly userId?: string | undefined
  readonly templateId?: string | undefined
  readonly outcome?: 'running' | (typeof outcomes)[number] | undefined
}

interface SummaryRow extends Head {
  readonly outcome: number | null
}

/** Sequences of a workspace in order of their ids, after `after`; at most `limit`. */
export async function listSequences(pool: Pool, workspaceId: string, filter: SequenceFilter, after: string | null, limit: number): Promise<SequenceSummary[]> {
  const where = ['workspace_id = $1', 'sequence_id > $2']
  const values: unknown[] = [workspaceId, after ?? '00000000-0000-0000-0000-000000000000']
  const equal = (column: string, value: string | undefined): void => {
    if (value !== undefined) where.push(`${column} = $${values.push(value)}`)
  }
  equal('send_id', filter.sendId)
  equal('campaign_id', filter.campaignId)
  equal('user_id', filter.userId)
  equal('template_id', filter.templateId)
  if (filter.outcome === 'running') where.push('outcome IS NULL')
  else if (filter.outcome !== undefined) where.push(`outcome = $${values.push(outcomes.indexOf(filter.outcome))}`)
  const { rows } = await pool.query<SummaryRow>(
    `SELECT sequence_id AS "sequenceId", send_id AS "sendId", user_id AS "userId", template_id AS "templateId", template_version AS "templateVersion", outcome
     FROM sequences WHERE ${where.join(' AND ')} ORDER BY sequence_id LIMIT ${limit}`, values)
  return rows.map(({ sequenceId, sendId, userId, templateId, templateVersion, outcome }) => ({
    sequenceId, sendId, userId, templateId, templateVersion, state: outcome === null ? 'running' : 'ended', outcome: outcome === null ? null : outcomes[outcome]!,
  }))
}
