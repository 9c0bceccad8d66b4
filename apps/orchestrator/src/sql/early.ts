// Engagements that came before their send is known: kept 24 h and applied when it is (rule 13).
import type { PoolClient } from 'pg'
import type { EngagementReported } from '@stepcast/contracts'
import type { DeadLetter } from '@stepcast/kafka'
import { uuids } from '@stepcast/postgres'

/** An engagement with the record it came in. */
export interface EarlyEngagement {
  readonly sequenceId: string
  readonly report: EngagementReported
  readonly record: DeadLetter['record']
}

/** Keeps engagements until their sequence starts. The same fact is kept once. */
export async function keepEarly(tx: PoolClient, early: readonly EarlyEngagement[]): Promise<void> {
  for (const { sequenceId, report, record } of early) {
    const { key, value, topic, partition, offset, timestamp, headers } = record
    const origin = { topic, partition, offset, timestamp, headers: Object.fromEntries(Object.entries(headers).map(([name, header]) => [name, String(header)])) }
    await tx.query(
      `INSERT INTO early_engagements (sequence_id, message_id, kind, report, record_key, record_value, origin)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [sequenceId, report.messageId, report.kind, jsonbOf(report), key, value, jsonbOf(origin)],
    )
  }
}

// What people wrote may hold NUL, which jsonb refuses; the record itself is kept as it came.
const jsonbOf = (value: object): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? one.replaceAll('\0', '\ufffd') : one))

interface Row { sequence_id: string; report: EngagementReported; record_key: Buffer | null; record_value: Buffer | null; origin: Omit<DeadLetter['record'], 'key' | 'value'> }

const earlyOf = ({ sequence_id: sequenceId, report, record_key: key, record_value: value, origin }: Row): EarlyEngagement =>
  ({ sequenceId, report, record: { ...origin, key, value } })

/** Takes the engagements that waited for these sequences, in order of arrival. */
export async function takeEarly(tx: PoolClient, sequenceIds: readonly string[]): Promise<EarlyEngagement[]> {
  if (sequenceIds.length === 0) return []
  const { rows } = await tx.query<Row>(
    `WITH taken AS (DELETE FROM early_engagements WHERE sequence_id = ANY($1::uuid[]) RETURNING *)
     SELECT sequence_id, report, record_key, record_value, origin FROM taken ORDER BY received_at`, [uuids(sequenceIds)])
  return rows.map(earlyOf)
}

const keptHours = 24
const expireAtMost = 500

/** Takes engagements whose send never came: they become dead letters, written before the deletion commits. */
export async function expireEarly(tx: PoolClient): Promise<EarlyEngagement[]> {
  const { rows } = await tx.query<Row>(
    `DELETE FROM early_engagements WHERE (sequence_id, message_id, kind) IN (
       SELECT sequence_id, message_id, kind FROM early_engagements WHERE received_at < now() - make_interval(hours => ${keptHours})
       ORDER BY received_at LIMIT ${expireAtMost} FOR UPDATE SKIP LOCKED)
     RETURNING sequence_id, report, record_key, record_value, origin`)
  return rows.map(earlyOf)
}
