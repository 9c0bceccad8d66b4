// Folds one partition's batch in one transaction: sequences, counters and the position move together or not at all.
import type { Pool, PoolClient } from 'pg'
import type { SequenceChanged } from '@stepcast/contracts'
import { inTransaction, withPatience } from '@stepcast/postgres'
import { project, type CountDelta, type Sequence } from './project'

/** What a fold did, for logs and metrics. */
export interface Folded {
  /** Changes that counted; the rest were repetitions. */
  readonly folded: number
  /** Changes of sequences whose start was trimmed from the topic. */
  readonly unknown: number
  /** Positions that never came: first and last missing; null when the log is whole. */
  readonly gap: readonly [number, number] | null
}

/**
 * Folds changes of one partition. Those at or below the stored position were counted before and change nothing, whoever
 * publishes them again and however often.
 * @param nextOffset one past the Kafka offset of the last of them
 */
export function foldBatch(pool: Pool, partition: number, changes: readonly SequenceChanged[], nextOffset: number): Promise<Folded> {
  return inTransaction(pool, async (tx) => {
    const stored = await lockPosition(pool, tx, partition)
    const { fresh, gap } = freshOf(changes, stored)
    const before = await loadSequences(tx, fresh)
    const { sequences, deltas, unknown } = project(before, fresh)
    await storeSequences(tx, sequences)
    await addToCounts(tx, deltas)
    await storePosition(tx, partition, fresh.at(-1), nextOffset)
    // failpoint: before-fold-commit
    return { folded: fresh.length - unknown, unknown, gap }
  })
}

// One highest position per partition suffices: the orchestrator numbers them without gaps and publishes them in order.
function freshOf(changes: readonly SequenceChanged[], stored: number): { fresh: SequenceChanged[]; gap: Folded['gap'] } {
  const fresh: SequenceChanged[] = []
  let highest = stored
  let gap: Folded['gap'] = null
  for (const change of changes) {
    if (change.logPosition <= highest) continue
    if (change.logPosition > highest + 1) gap = [gap?.[0] ?? highest + 1, change.logPosition - 1]
    highest = change.logPosition
    fresh.push(change)
  }
  return { fresh, gap }
}

async function lockPosition(pool: Pool, tx: PoolClient, partition: number): Promise<number> {
  // Outside the transaction: whoever is stopped in that must not keep a row that nobody else can see from being made. And not ON CONFLICT
  // alone, which waits for whoever is changing the row that is there.
  await pool.query(
    `INSERT INTO positions (partition, log_position, next_offset, recorded_at) SELECT $1::int, 0, 0, 'epoch'
     WHERE NOT EXISTS (SELECT FROM positions WHERE partition = $1) ON CONFLICT DO NOTHING`, [partition],
  )
  const { rows } = await withPatience(pool, tx, () => tx.query<{ log_position: number }>(
    'SELECT log_position FROM positions WHERE partition = $1 FOR UPDATE', [partition]))
  return rows[0]!.log_position
}

async function storePosition(tx: PoolClient, partition: number, last: SequenceChanged | undefined, nextOffset: number): Promise<void> {
  await tx.query(
    `UPDATE positions SET log_position = greatest(log_position, $2), next_offset = greatest(next_offset, $3),
       recorded_at = greatest(recorded_at, $4) WHERE partition = $1`,
    [partition, last?.logPosition ?? 0, nextOffset, new Date(last?.recordedAt ?? 0)],
  )
}

interface SequenceRow {
  sequence_id: string
  workspace_id: string
  template_id: string
  template_version: number
  send_id: string
  campaign_id: string | null
  source: string
  requested_at: Date
  started_at: Date
  state: string
}

async function loadSequences(tx: PoolClient, changes: readonly SequenceChanged[]): Promise<Map<string, Sequence>> {
  // A first change has no row yet and needs no look-up.
  const ids = new Set(changes.filter(({ version }) => version > 1).map(({ sequenceId }) => sequenceId))
  if (ids.size === 0) return new Map()
  const { rows } = await tx.query<SequenceRow>('SELECT * FROM sequences WHERE sequence_id = ANY($1::uuid[])', [[...ids]])
  return new Map(rows.map((row) => [row.sequence_id, {
    sequenceId: row.sequence_id, workspaceId: row.workspace_id, templateId: row.template_id, templateVersion: row.template_version,
    sendId: row.send_id, campaignId: row.campaign_id, source: row.source,
    requestedAt: row.requested_at.getTime(), startedAt: row.started_at.getTime(), state: row.state,
  }]))
}

async function storeSequences(tx: PoolClient, sequences: readonly Sequence[]): Promise<void> {
  if (sequences.length === 0) return
  await tx.query(
    `INSERT INTO sequences
       (sequence_id, workspace_id, template_id, template_version, send_id, campaign_id, source, requested_at, started_at, state)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[],
       $8::timestamptz[], $9::timestamptz[], $10::text[])
     ON CONFLICT (sequence_id) DO UPDATE SET state = excluded.state`,
    [
      sequences.map((s) => s.sequenceId), sequences.map((s) => s.workspaceId), sequences.map((s) => s.templateId),
      sequences.map((s) => s.templateVersion), sequences.map((s) => s.sendId), sequences.map((s) => s.campaignId),
      sequences.map((s) => s.source), sequences.map((s) => new Date(s.requestedAt).toISOString()),
      sequences.map((s) => new Date(s.startedAt).toISOString()), sequences.map((s) => s.state),
    ],
  )
}

async function addToCounts(tx: PoolClient, deltas: readonly CountDelta[]): Promise<void> {
  if (deltas.length === 0) return
  // Partitions fold side by side and meet in the same counters: always in the same order, so that none waits for the other in a ring.
  await tx.query(
    `INSERT INTO counts (workspace_id, template_id, template_version, hour, step, channel_type, name, n)
     SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::int[], $6::text[], $7::text[], $8::bigint[])
       AS delta (workspace_id, template_id, template_version, hour, step, channel_type, name, n)
     ORDER BY 1, 2, 3, 4, 5, 6, 7
     ON CONFLICT (workspace_id, template_id, template_version, hour, step, channel_type, name) DO UPDATE SET n = counts.n + excluded.n`,
    [
      deltas.map((d) => d.workspaceId), deltas.map((d) => d.templateId), deltas.map((d) => d.templateVersion),
      deltas.map((d) => new Date(d.hour).toISOString()), deltas.map((d) => d.step), deltas.map((d) => d.channelType),
      deltas.map((d) => d.name), deltas.map((d) => d.n),
    ],
  )
}
