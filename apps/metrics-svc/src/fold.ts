// Folds one partition's batch in one transaction: sequences, counters and the position move together or not at all.
import type { Pool, PoolClient } from 'pg'
import type { SequenceChanged } from '@stepcast/contracts'
import { inTransaction, ints, texts, uuids, withPatience } from '@stepcast/postgres'
import { instantOf } from './asItStands'
import { project, type Begun, type CountDelta, type Sequence } from './project'

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
 * Settings of the sessions that fold: plans are made once, for arrays of any length, and look rows up by their index, also in a table that
 * is young when the plan is made and large soon after.
 */
export const foldSettings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
} as const

/**
 * Folds changes of one partition, or none: then only the offset moves. Those at or below the stored position were counted before and
 * change nothing, whoever publishes them again and however often; any part of a batch may be folded by itself.
 * @param nextOffset one past the Kafka offset of the last of them
 * @param takenOverBefore a rebuild's: sequences that started before this moment (ms) were taken over with their numbers
 */
export async function foldBatch(
  pool: Pool,
  partition: number,
  changes: readonly SequenceChanged[],
  nextOffset: number,
  takenOverBefore: number | null = null,
): Promise<Folded> {
  const batch = { partition, changes, nextOffset, takenOverBefore }
  try {
    return await fold(pool, batch, false)
  } catch (error) {
    if (!(error instanceof StartedBefore)) throw error
    return fold(pool, batch, true)
  }
}

/** A first change of a sequence that is stored already: never the orchestrator's, but it must not count twice. */
class StartedBefore extends Error {}

interface BatchToFold {
  readonly partition: number
  readonly changes: readonly SequenceChanged[]
  readonly nextOffset: number
  readonly takenOverBefore: number | null
}

function fold(pool: Pool, { partition, changes, nextOffset, takenOverBefore }: BatchToFold, lookAllUp: boolean): Promise<Folded> {
  return inTransaction(pool, async (tx) => {
    const { stored, takenOverUpTo } = await lockPosition(pool, tx, partition, changes[0])
    const { fresh, gap } = freshOf(changes, stored)
    const before = await loadSequences(tx, fresh, lookAllUp)
    const takenOver = takenOverBefore === null ? null : { before: takenOverBefore, upTo: takenOverUpTo }
    const { begun, moved, deltas, unknown } = project(before, fresh, takenOver)
    await storeBegun(tx, begun)
    await storeMoved(tx, moved)
    await addToCounts(tx, partition, deltas)
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

interface Position {
  readonly stored: number
  readonly takenOverUpTo: number
}

async function lockPosition(pool: Pool, tx: PoolClient, partition: number, first: SequenceChanged | undefined): Promise<Position> {
  const lock = async (): Promise<Position | null> => {
    const { rows } = await withPatience(pool, tx, () =>
      tx.query<Position>({
        name: 'lock-position',
        values: [partition],
        text: 'SELECT log_position AS stored, taken_over_up_to AS "takenOverUpTo" FROM positions WHERE partition = $1 FOR UPDATE',
      }),
    )
    return rows[0] ?? null
  }
  return (await lock()) ?? (await beginPartition(pool, partition, first), (await lock())!)
}

// Outside the transaction: whoever is stopped in that must not keep a row that nobody else can see from being made. And should this first
// batch never be folded: everything recorded before it is counted, that is what the row says.
async function beginPartition(pool: Pool, partition: number, first: SequenceChanged | undefined): Promise<void> {
  const recordedAt = first === undefined ? 0 : Math.max(0, instantOf(first.recordedAt) - 1)
  await pool.query(
    `INSERT INTO positions (partition, log_position, next_offset, recorded_at) VALUES ($1, 0, 0, to_timestamp($2 / 1000.0))
     ON CONFLICT DO NOTHING`,
    [partition, recordedAt],
  )
}

async function storePosition(tx: PoolClient, partition: number, last: SequenceChanged | undefined, nextOffset: number): Promise<void> {
  await tx.query({
    name: 'store-position',
    text: `UPDATE positions SET log_position = greatest(log_position, $2), next_offset = greatest(next_offset, $3),
             recorded_at = greatest(recorded_at, to_timestamp($4::bigint / 1000.0)) WHERE partition = $1`,
    values: [partition, last?.logPosition ?? 0, nextOffset, last === undefined ? 0 : instantOf(last.recordedAt)],
  })
}

type SequenceRow = [id: string, workspaceId: string, templateId: string, templateVersion: number, startedAt: number, state: string]

async function loadSequences(tx: PoolClient, changes: readonly SequenceChanged[], lookAllUp: boolean): Promise<Map<string, Sequence>> {
  // A first change has no row yet and needs no look-up.
  const ids = new Set<string>()
  for (const { version, sequenceId } of changes) if (version > 1 || lookAllUp) ids.add(sequenceId)
  if (ids.size === 0) return new Map()
  const { rows } = await tx.query<SequenceRow>({
    name: 'load-sequences',
    rowMode: 'array',
    values: [uuids([...ids])],
    text: `SELECT sequence_id, workspace_id, template_id, template_version, (extract(epoch FROM started_at) * 1000)::bigint, state
           FROM sequences WHERE sequence_id = ANY($1::uuid[])`,
  })
  return new Map(
    rows.map(([sequenceId, workspaceId, templateId, templateVersion, startedAt, state]) => [
      sequenceId,
      { sequenceId, workspaceId, templateId, templateVersion, startedAt, state },
    ]),
  )
}

async function storeBegun(tx: PoolClient, begun: readonly Begun[]): Promise<void> {
  if (begun.length === 0) return
  const { rowCount } = await tx.query({
    name: 'store-begun',
    text: `INSERT INTO sequences
             (sequence_id, workspace_id, template_id, template_version, send_id, campaign_id, source, requested_at, started_at, state)
           SELECT id, workspace, template, version, send, campaign, source, to_timestamp(requested / 1000.0), to_timestamp(started / 1000.0), state
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[])
             AS begun (id, workspace, template, version, send, campaign, source, requested, started, state)
           ON CONFLICT (sequence_id) DO NOTHING`,
    values: [
      uuids(begun.map((s) => s.sequenceId)),
      texts(begun.map((s) => s.workspaceId)),
      texts(begun.map((s) => s.templateId)),
      ints(begun.map((s) => s.templateVersion)),
      texts(begun.map((s) => s.sendId)),
      texts(begun.map((s) => s.campaignId)),
      texts(begun.map((s) => s.source)),
      ints(begun.map((s) => s.requestedAt)),
      ints(begun.map((s) => s.startedAt)),
      texts(begun.map((s) => s.state)),
    ],
  })
  if (rowCount !== begun.length) throw new StartedBefore()
}

// By itself, not as a conflict of the insert: that would send ten columns of each to change one.
async function storeMoved(tx: PoolClient, moved: readonly Sequence[]): Promise<void> {
  if (moved.length === 0) return
  await tx.query({
    name: 'store-moved',
    text: `UPDATE sequences SET state = moved.state FROM unnest($1::uuid[], $2::text[]) AS moved (id, state) WHERE sequence_id = moved.id`,
    values: [uuids(moved.map((s) => s.sequenceId)), texts(moved.map((s) => s.state))],
  })
}

// Each partition has its own rows, so that none waits for another's commit; gather.ts puts them together later.
async function addToCounts(tx: PoolClient, partition: number, deltas: readonly CountDelta[]): Promise<void> {
  if (deltas.length === 0) return
  await tx.query({
    name: 'add-to-counts',
    text: `INSERT INTO counts_by_partition AS counted (partition, workspace_id, template_id, template_version, hour, step, channel_type, name, n)
           SELECT $1, workspace, template, version, to_timestamp(hour / 1000), step, channel, name, n
           FROM unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::bigint[])
             AS delta (workspace, template, version, hour, step, channel, name, n)
           ON CONFLICT (workspace_id, template_id, partition, template_version, hour, step, channel_type, name)
             DO UPDATE SET n = counted.n + excluded.n`,
    values: [
      partition,
      texts(deltas.map((d) => d.workspaceId)),
      texts(deltas.map((d) => d.templateId)),
      ints(deltas.map((d) => d.templateVersion)),
      ints(deltas.map((d) => d.hour)),
      ints(deltas.map((d) => d.step)),
      texts(deltas.map((d) => d.channelType)),
      texts(deltas.map((d) => d.name)),
      ints(deltas.map((d) => d.n)),
    ],
  })
}
