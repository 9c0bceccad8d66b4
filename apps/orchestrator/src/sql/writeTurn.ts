// Everything that a turn writes about sequences it knows, in one statement: one round trip, one plan, and the cursor moves with it.
import type { PoolClient } from 'pg'
import type { SequenceOutcome } from '@stepcast/contracts'
import { ints, uuids } from '@stepcast/postgres'
import type { NewChange } from './changes'
import type { Cursor } from './cursor'
import { outcomes } from './sequences'
import type { TimerRow } from './timers'

/** What a turn did. */
export interface Written {
  readonly changes: readonly NewChange[]
  /** The data of all changes, one after another. */
  readonly data: Buffer
  /** Timers that fired or are no longer true. */
  readonly gone: readonly TimerRow[]
  readonly set: readonly TimerRow[]
  readonly ended: readonly { readonly sequenceId: string; readonly outcome: SequenceOutcome }[]
  readonly cursor: Pick<Cursor, 'sendsOffset' | 'engagementsOffset' | 'logPosition' | 'publishedPosition'>
}

/**
 * Stores changes, replaces timers, records how sequences ended, and moves the cursor. The data travel as one binary value and are cut by
 * the server: an array of bytea would be written and read as hexadecimal text.
 */
export async function writeTurn(tx: PoolClient, partition: number, { changes, data, gone, set, ended, cursor }: Written): Promise<void> {
  await tx.query({
    name: 'write-turn',
    text: `WITH changed AS (
             INSERT INTO changes (started_on, sequence_id, version, partition, position, data)
             SELECT started_on, id, version, $1, position, substring($2::bytea FROM start FOR length)
             FROM unnest($3::date[], $4::uuid[], $5::int[], $6::bigint[], $7::int[], $8::int[]) AS c (started_on, id, version, position, start, length)
           ), gone AS (
             DELETE FROM timers t USING unnest($9::bigint[], $10::uuid[]) AS g (due, id)
             WHERE t.partition = $1 AND t.due_at = g.due AND t.sequence_id = g.id
           ), set AS (
             INSERT INTO timers (partition, due_at, sequence_id) SELECT $1, due, id FROM unnest($11::bigint[], $12::uuid[]) AS s (due, id)
           ), ended AS (
             UPDATE sequences s SET outcome = e.outcome FROM unnest($13::uuid[], $14::smallint[]) AS e (id, outcome) WHERE s.sequence_id = e.id
           )
           UPDATE cursors SET sends_offset = $15, engagements_offset = $16, log_position = $17, published_position = $18 WHERE partition = $1`,
    values: [
      partition,
      data,
      uuids(changes.map(({ startedOn }) => startedOn)),
      uuids(changes.map(({ sequenceId }) => sequenceId)),
      ints(changes.map(({ version }) => version)),
      ints(changes.map(({ position }) => position)),
      ints(changes.map(({ from }) => from + 1)),
      ints(changes.map(({ from, to }) => to - from)),
      ints(gone.map(({ dueAt }) => dueAt)),
      uuids(gone.map(({ sequenceId }) => sequenceId)),
      ints(set.map(({ dueAt }) => dueAt)),
      uuids(set.map(({ sequenceId }) => sequenceId)),
      uuids(ended.map(({ sequenceId }) => sequenceId)),
      ints(ended.map(({ outcome }) => outcomes.indexOf(outcome))),
      cursor.sendsOffset,
      cursor.engagementsOffset,
      cursor.logPosition,
      cursor.publishedPosition,
    ],
  })
}
