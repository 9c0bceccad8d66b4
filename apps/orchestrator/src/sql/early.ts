// Engagements that came before their send is known: kept 24 h and applied when it is (rule 13).
import type { PoolClient } from 'pg'
import type { EngagementReported } from '@stepcast/contracts'
import type { DeadLetter } from '@stepcast/kafka'
import { ints, texts, uuids } from '@stepcast/postgres'

/** An engagement with the record it came in. */
export interface EarlyEngagement {
  readonly sequenceId: string
  readonly report: EngagementReported
  readonly record: DeadLetter['record']
}

/** Kept of one sequence for one workspace at most: every fact there can be of four channels (28), each in the largest record, and room to spare. */
export const maxEarlyOfSequence = 100
const maxEarlyBytesOfSequence = 8 * 1024 * 1024

// Headers as JSON, their bytes as Latin-1: nothing is lost, whatever producers wrote.
type PackedHeader = string | null | readonly (string | null)[]
function packed(header: unknown): PackedHeader {
  if (Array.isArray(header)) return header.map((one) => packed(one) as string | null)
  if (header === null) return null
  return Buffer.isBuffer(header) ? header.toString('latin1') : String(header)
}
function unpacked(header: PackedHeader): Buffer | null | (Buffer | null)[] {
  if (Array.isArray(header)) return header.map((one) => unpacked(one) as Buffer | null)
  return header === null ? null : Buffer.from(header as string, 'latin1')
}

const packHeaders = (headers: DeadLetter['record']['headers']): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(headers).map(([name, header]) => [name, packed(header)])))
const unpackHeaders = (bytes: Buffer): DeadLetter['record']['headers'] =>
  Object.fromEntries(
    (JSON.parse(bytes.toString()) as [string, PackedHeader][]).map(([name, header]) => [name, unpacked(header)]),
  ) as DeadLetter['record']['headers']

const factOf = ({ sequenceId, report: { workspaceId, messageId, kind } }: EarlyEngagement): string =>
  `${sequenceId} ${workspaceId} ${messageId} ${kind}`

/**
 * Keeps engagements until their sequence starts; the same fact of the same workspace once. Answers those that there is no room for.
 * One statement: the records' bytes travel as one binary value and are cut by the server.
 */
export async function keepEarly(tx: PoolClient, early: readonly EarlyEngagement[]): Promise<readonly EarlyEngagement[]> {
  if (early.length === 0) return []
  // In the order in which they first came: a repetition behind others takes no place from them.
  const first = new Map<string, EarlyEngagement>()
  for (const one of early) if (!first.has(factOf(one))) first.set(factOf(one), one)
  const facts = [...first.values()]
  const parts: Buffer[] = []
  let at = 1
  const place = (bytes: Buffer | null): { start: number; length: number } | null => {
    if (bytes === null) return null
    parts.push(bytes)
    at += bytes.length
    return { start: at - bytes.length, length: bytes.length }
  }
  const places = facts.map(({ record: { key, value, headers } }) => ({
    key: place(key),
    value: place(value),
    headers: place(packHeaders(headers))!,
  }))
  const nothing = { start: 1, length: -1 }
  const starts = (of: 'key' | 'value' | 'headers'): string => ints(places.map((one) => (one[of] ?? nothing).start))
  const lengths = (of: 'key' | 'value' | 'headers'): string => ints(places.map((one) => (one[of] ?? nothing).length))
  const { rows } = await tx.query<{ n: number }>({
    name: 'keep-early',
    text: `WITH known AS MATERIALIZED (
             SELECT sequence_id AS id, workspace_id AS workspace, message_id AS message, kind,
                    octet_length(coalesce(record_value, '')) + octet_length(coalesce(record_headers, '')) AS bytes
             FROM early_engagements WHERE sequence_id = ANY($2::uuid[])
           ), there AS (
             SELECT id, workspace, count(*) AS facts, sum(bytes) AS bytes FROM known GROUP BY id, workspace
           ), fresh AS (
             SELECT a.*, row_number() OVER w + coalesce(t.facts, 0) AS nth, sum(value_length + headers_length) OVER w + coalesce(t.bytes, 0) AS bytes
             FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[],
                         $8::int[], $9::int[], $10::int[], $11::int[], $12::int[], $13::int[])
               WITH ORDINALITY AS a (id, workspace, message, kind, report, origin, key_at, key_length, value_at, value_length, headers_at, headers_length, n)
             LEFT JOIN there t USING (id, workspace)
             WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = a.id AND k.workspace = a.workspace AND k.message = a.message AND k.kind = a.kind)
             WINDOW w AS (PARTITION BY a.id, a.workspace ORDER BY a.n)
           ), kept AS (
             INSERT INTO early_engagements (sequence_id, message_id, kind, report, origin, record_key, record_value, record_headers)
             SELECT id, message, kind, report, origin, CASE WHEN key_length >= 0 THEN substring($1::bytea FROM key_at FOR key_length) END,
                    CASE WHEN value_length >= 0 THEN substring($1::bytea FROM value_at FOR value_length) END, substring($1::bytea FROM headers_at FOR headers_length)
             FROM fresh WHERE nth <= ${maxEarlyOfSequence} AND bytes <= ${maxEarlyBytesOfSequence} ORDER BY n
             ON CONFLICT DO NOTHING
           )
           SELECT n::int FROM fresh WHERE nth > ${maxEarlyOfSequence} OR bytes > ${maxEarlyBytesOfSequence} ORDER BY n`,
    values: [
      Buffer.concat(parts),
      uuids(facts.map(({ sequenceId }) => sequenceId)),
      texts(facts.map(({ report }) => report.workspaceId)),
      texts(facts.map(({ report }) => report.messageId)),
      texts(facts.map(({ report }) => report.kind)),
      texts(facts.map(({ report }) => JSON.stringify(report))),
      texts(facts.map(({ record }) => JSON.stringify(originOf(record)))),
      starts('key'),
      lengths('key'),
      starts('value'),
      lengths('value'),
      starts('headers'),
      lengths('headers'),
    ],
  })
  return rows.map(({ n }) => facts[n - 1]!)
}

// Processes of the version before read headers here.
const originOf = ({ topic, partition, offset, timestamp }: DeadLetter['record']): object => ({
  topic,
  partition,
  offset,
  timestamp,
  headers: {},
})

interface Row {
  sequence_id: string
  report: EngagementReported
  record_key: Buffer | null
  record_value: Buffer | null
  record_headers: Buffer | null
  origin: Omit<DeadLetter['record'], 'key' | 'value'>
}
const columns = 'sequence_id, report, record_key, record_value, record_headers, origin'

const earlyOf = ({
  sequence_id: sequenceId,
  report,
  record_key: key,
  record_value: value,
  record_headers: headers,
  origin,
}: Row): EarlyEngagement => ({ sequenceId, report, record: { ...origin, key, value, ...(headers && { headers: unpackHeaders(headers) }) } })

/** How many bytes wait for each of these sequences; those that nothing waits for are missing. */
export async function earlyBytesOf(tx: PoolClient, sequenceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const { rows } = await tx.query<{ id: string; bytes: number }>({
    name: 'early-bytes',
    text: `SELECT sequence_id AS id, sum(octet_length(coalesce(record_value, '')) + octet_length(coalesce(record_headers, '')))::bigint AS bytes
           FROM early_engagements WHERE sequence_id = ANY($1::uuid[]) GROUP BY 1`,
    values: [uuids(sequenceIds)],
  })
  return new Map(rows.map(({ id, bytes }) => [id, bytes]))
}

/** Takes the engagements that waited for these sequences, whichever workspace told them, in order of arrival. */
export async function takeEarly(tx: PoolClient, sequenceIds: readonly string[]): Promise<EarlyEngagement[]> {
  if (sequenceIds.length === 0) return []
  const { rows } = await tx.query<Row>(
    `WITH taken AS (DELETE FROM early_engagements WHERE sequence_id = ANY($1::uuid[]) RETURNING *)
     SELECT ${columns} FROM taken ORDER BY received_at, (origin->>'offset')::bigint`,
    [uuids(sequenceIds)],
  )
  return rows.map(earlyOf)
}

const keptHours = 24
const expireAtMost = 500

/** Takes engagements whose send never came: they become dead letters, written before the deletion commits. */
export async function expireEarly(tx: PoolClient): Promise<EarlyEngagement[]> {
  const { rows } = await tx.query<Row>(
    `DELETE FROM early_engagements WHERE (sequence_id, workspace_id, message_id, kind) IN (
       SELECT sequence_id, workspace_id, message_id, kind FROM early_engagements WHERE received_at < now() - make_interval(hours => ${keptHours})
       ORDER BY received_at LIMIT ${expireAtMost} FOR UPDATE SKIP LOCKED)
     RETURNING ${columns}`,
  )
  return rows.map(earlyOf)
}
