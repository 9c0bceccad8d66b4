// The story of a sequence: every event with its why, as the core explains it.
import type { Pool } from 'pg'
import { isSequenceId, sequenceIdOf } from '@stepcast/contracts'
import { keyset, type Keyset } from '@stepcast/service'
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
  ...Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      timeFields.has(name) && typeof value === 'number' ? instantOf(value) : value,
    ]),
  ),
})

/** RFC 3339; the number as text where no date holds it, as a producer may have written it before such times were refused. */
const instantOf = (ms: number): string => (Number.isFinite(new Date(ms).getTime()) ? new Date(ms).toISOString() : String(ms))

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
      return { ...fieldsOf(event), version, recordedAt: instantOf(recordedAt), why }
    })
  })
  const { sendId, userId, templateId, templateVersion } = loaded.head
  const entered = state as Sequence
  return {
    sequenceId,
    sendId,
    userId,
    templateId,
    templateVersion,
    state: entered.status === 'running' ? 'running' : 'ended',
    outcome: entered.status === 'ended' ? entered.outcome : null,
    step: stepOf(entered),
    history,
  }
}

function stepOf(state: Sequence): number | null {
  if (state.status === 'notStarted') return null
  const entered = state.entered.at(-1)?.step ?? null
  return state.status === 'ended' ? (state.step ?? entered) : entered
}

/** Which sequences a list holds. */
export interface SequenceFilter {
  readonly sequenceId?: string | undefined
  readonly sendId?: string | undefined
  readonly campaignId?: string | undefined
  readonly userId?: string | undefined
  readonly templateId?: string | undefined
  readonly outcome?: 'running' | (typeof outcomes)[number] | undefined
}

interface SummaryRow extends Head {
  readonly outcome: number | null
}

/** The index that a list walks: what it fixes, and the values that its items are in order of. */
interface Road {
  readonly column: 'send_id' | 'user_id' | 'campaign_id' | null
  readonly value: string | null
}

/** Which index a list walks; a list of a whole workspace goes send by send, the ids of each in order. */
function roadOf({ sendId, userId, campaignId }: SequenceFilter): Road {
  if (sendId !== undefined) return { column: 'send_id', value: sendId }
  if (userId !== undefined) return { column: 'user_id', value: userId }
  if (campaignId !== undefined) return { column: 'campaign_id', value: campaignId }
  return { column: null, value: null }
}

/** What the list is ordered by: it depends on the index that is walked. */
export const orderOf = (filter: SequenceFilter): Keyset<readonly ('text' | 'uuid')[]> =>
  roadOf(filter).column === null ? keyset<readonly ('text' | 'uuid')[]>('sequences by send', 'text', 'uuid') : keyset('sequences', 'uuid')

// Templates and outcomes have no index: one costs every sequence 78 bytes and a page written at random. A list by them walks the
// index of its other filters, or of all sends, for so many rows a question and a page (warm some 5 and 50 ms), and says where it got to.
const walkedAtOnce = 2_000
const walkedAPage = 20_000

/** A page of sequences. */
export interface SequencePage {
  readonly items: SequenceSummary[]
  /** The keyset values to go on after; null: that was all. Fewer items than asked for may come with one. */
  readonly next: readonly string[] | null
}

/** Sequences of a workspace, after the keyset values of the page before; at most `limit`. What is read is bounded, whatever the filter. */
export async function listSequences(
  pool: Pool,
  workspaceId: string,
  filter: SequenceFilter,
  after: readonly string[] | null,
  limit: number,
): Promise<SequencePage> {
  const single =
    filter.sequenceId ??
    (filter.sendId !== undefined && filter.userId !== undefined ? sequenceIdOf(workspaceId, filter.sendId, filter.userId) : null)
  if (single !== null) return { items: (await oneHead(pool, workspaceId, single)).filter(matching(filter)).map(summaryOf), next: null }
  const road = roadOf(filter)
  const matches = matching(filter)
  const keyOf = ({ sendId, sequenceId }: SummaryRow): string[] => (road.column === null ? [sendId, sequenceId] : [sequenceId])
  const found: SummaryRow[] = []
  let last = after
  // Many of what is walked match, as a rule: one question that reads a row more than the page. If not, in longer strides.
  for (let [stride, walked] = [limit + 1, 0]; walked < walkedAPage; stride = Math.min(stride * 4, walkedAtOnce)) {
    const rows = await walk(pool, workspaceId, road, last, stride)
    for (const row of rows) {
      if (!matches(row)) continue
      if (found.length === limit) return { items: found.map(summaryOf), next: keyOf(found[limit - 1]!) }
      found.push(row)
    }
    if (rows.length < stride) return { items: found.map(summaryOf), next: null }
    walked += rows.length
    last = keyOf(rows[rows.length - 1]!)
  }
  return { items: found.map(summaryOf), next: last }
}

const columns = `sequence_id AS "sequenceId", send_id AS "sendId", user_id AS "userId", template_id AS "templateId", template_version AS "templateVersion",
  campaign_id AS "campaignId", outcome`

async function oneHead(pool: Pool, workspaceId: string, sequenceId: string): Promise<SummaryRow[]> {
  if (!isSequenceId(sequenceId)) return []
  return (
    await pool.query<SummaryRow>(`SELECT ${columns} FROM sequences WHERE sequence_id = $1 AND workspace_id = $2`, [sequenceId, workspaceId])
  ).rows
}

async function walk(
  pool: Pool,
  workspaceId: string,
  { column, value }: Road,
  after: readonly string[] | null,
  limit: number,
): Promise<SummaryRow[]> {
  const values: unknown[] = [workspaceId, limit]
  const where = ['workspace_id = $1']
  if (column !== null) where.push(`${column} = $${values.push(value)}`)
  if (after !== null) {
    const places = after.map((key) => `$${values.push(key)}`)
    where.push(column === null ? `(send_id, sequence_id) > (${places[0]}, ${places[1]}::uuid)` : `sequence_id > ${places[0]}::uuid`)
  }
  const { rows } = await pool.query<SummaryRow>(
    `SELECT ${columns} FROM sequences WHERE ${where.join(' AND ')} ORDER BY ${column ?? 'send_id'}, sequence_id LIMIT $2`,
    values,
  )
  return rows
}

function matching({ sequenceId, sendId, userId, campaignId, templateId, outcome }: SequenceFilter): (row: SummaryRow) => boolean {
  const stored = outcome === undefined || outcome === 'running' ? null : outcomes.indexOf(outcome)
  const is = (wanted: string | undefined, value: string | null): boolean => wanted === undefined || wanted === value
  return (row) =>
    is(sequenceId, row.sequenceId) &&
    is(sendId, row.sendId) &&
    is(userId, row.userId) &&
    is(campaignId, row.campaignId) &&
    is(templateId, row.templateId) &&
    (outcome === undefined || row.outcome === stored)
}

const summaryOf = ({ sequenceId, sendId, userId, templateId, templateVersion, outcome }: SummaryRow): SequenceSummary => ({
  sequenceId,
  sendId,
  userId,
  templateId,
  templateVersion,
  state: outcome === null ? 'running' : 'ended',
  outcome: outcome === null ? null : outcomes[outcome]!,
})
