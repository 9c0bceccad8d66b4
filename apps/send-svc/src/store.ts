// Sends in the database: stored whole before they are answered, read back, and forgotten after 30 days.
import { inTransaction } from '@stepcast/postgres'
import type { Variable, Variables } from '@stepcast/template'
import type { Pool } from 'pg'
import { keyset, type Page } from '@stepcast/service'
import type { AskedReceiver } from './request'

/** What `POST /v1/sends` answers. */
export interface SendAnswer {
  readonly sendId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly accepted: number
  readonly duplicates: number
  /** The first 100. */
  readonly sequences: readonly { readonly userId: string; readonly sequenceId: string }[]
}

/** A send about to be stored. */
export interface NewSend {
  readonly workspaceId: string
  readonly sendId: string
  /** Of the body; null without an Idempotency-Key. */
  readonly fingerprint: string | null
  readonly templateId: string
  readonly templateVersion: number
  readonly variableSchema: readonly Variable[]
  readonly variables: Variables
  readonly tag: string | null
  readonly traceparent: string | null
  readonly receivers: readonly AskedReceiver[]
  readonly answer: SendAnswer
}

/** The record of an Idempotency-Key. */
export interface FirstAnswer {
  readonly fingerprint: string | null
  readonly answer: SendAnswer
}

/** A send as it was asked for. */
export interface StoredSend {
  readonly sendId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly source: string
  readonly requestedAt: Date
  readonly recipients: number
}

/** What an earlier request with the same id was answered; null: there was none. */
export async function firstAnswer(pool: Pool, workspaceId: string, sendId: string): Promise<FirstAnswer | null> {
  const { rows } = await pool.query<FirstAnswer>('SELECT fingerprint, answer FROM sends WHERE workspace_id = $1 AND send_id = $2', [
    workspaceId,
    sendId,
  ])
  return rows[0] ?? null
}

/**
 * Stores a send with its receivers in one transaction; false when the id is stored already. A request of the same key in flight
 * is waited for, by the unique index.
 */
export function storeSend(pool: Pool, send: NewSend): Promise<boolean> {
  return inTransaction(pool, async (tx) => {
    // Whole milliseconds, as the record on Kafka has them.
    const { rows } = await tx.query<{ number: number }>(
      `INSERT INTO sends (workspace_id, send_id, fingerprint, template_id, template_version, variable_schema, variables, tag, source,
                          requested_at, traceparent, recipients, answer, served_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'http', date_trunc('milliseconds', clock_timestamp()), $9, $10, $11, '-infinity')
       ON CONFLICT (workspace_id, send_id) DO NOTHING RETURNING number`,
      [
        send.workspaceId,
        send.sendId,
        send.fingerprint,
        send.templateId,
        send.templateVersion,
        JSON.stringify(send.variableSchema),
        JSON.stringify(send.variables),
        send.tag,
        send.traceparent,
        send.receivers.length,
        JSON.stringify(send.answer),
      ],
    )
    if (rows[0] === undefined) return false
    let position = 0
    for (const some of portions(send.receivers)) {
      await tx.query(
        `INSERT INTO receivers (send_number, position, user_id, variables)
         SELECT $1, $2 + ordinality - 1, user_id, variables
         FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS r (user_id, variables, ordinality)`,
        [rows[0].number, position, some.map(({ userId }) => userId), some.map(({ variables }) => variables?.toString() ?? '{}')],
      )
      position += some.length
    }
    return true
  })
}

// A statement's parameters are written out twice on their way. 10,000 receivers of 100 bytes are one statement, as a rule.
const portionBytes = 2 * 1024 * 1024

function* portions(receivers: readonly AskedReceiver[]): Generator<readonly AskedReceiver[]> {
  let from = 0
  let bytes = 0
  for (const [i, { variables }] of receivers.entries()) {
    bytes += 100 + (variables?.length ?? 0)
    if (bytes <= portionBytes || i === from) continue
    yield receivers.slice(from, i)
    from = i
    bytes = 100 + (variables?.length ?? 0)
  }
  yield receivers.slice(from)
}

/** A send of ours; null: none of that id in this workspace. */
export async function findSend(pool: Pool, workspaceId: string, sendId: string): Promise<StoredSend | null> {
  const { rows } = await pool.query<StoredSend>(
    `SELECT send_id AS "sendId", template_id AS "templateId", template_version AS "templateVersion", source,
            requested_at AS "requestedAt", recipients
     FROM sends WHERE workspace_id = $1 AND send_id = $2`,
    [workspaceId, sendId],
  )
  return rows[0] ?? null
}

/** A send in a list. */
export interface ListedSend extends StoredSend {
  readonly tag: string | null
}

/** Which sends a list holds: of a template, asked for from (inclusive) to (exclusive). */
export interface SendFilter {
  readonly templateId: string | null
  readonly from: Date | null
  readonly to: Date | null
}

/** The keyset of the list: when a send was asked for, its id. */
export const sendOrder = keyset('sends', 'instant', 'text')

/** Sends of a workspace, newest first; one more than the page holds where there are more. */
export async function listSends(
  pool: Pool,
  workspaceId: string,
  { templateId, from, to }: SendFilter,
  { limit, after }: Page<typeof sendOrder.shape>,
): Promise<ListedSend[]> {
  const { rows } = await pool.query<ListedSend>(
    `SELECT send_id AS "sendId", template_id AS "templateId", template_version AS "templateVersion", source,
            requested_at AS "requestedAt", recipients, tag
     FROM sends
     WHERE workspace_id = $1 AND ($2::text IS NULL OR template_id = $2)
       AND requested_at >= coalesce($3::timestamptz, '-infinity') AND requested_at < coalesce($4::timestamptz, 'infinity')
       AND ($5::timestamptz IS NULL OR (requested_at, send_id) < ($5, $6::text))
     ORDER BY requested_at DESC, send_id DESC LIMIT $7`,
    [workspaceId, templateId, from, to, after && new Date(after[0]), after?.[1] ?? null, limit + 1],
  )
  return rows
}

// A thousand rows are about 20 ms; a hundred times that an hour is more than any installation makes in one.
const purgeBatch = 1_000
const purgeRounds = 100

/** Forgets sends, and so their keys, 30 days after they were asked for (rule 16); one not fanned out yet stays. */
export async function purgeSends(pool: Pool): Promise<void> {
  for (let round = 0; round < purgeRounds; round++) {
    const { rowCount } = await pool.query(
      `DELETE FROM sends WHERE number IN (
         SELECT number FROM sends WHERE requested_at < now() - interval '30 days' AND position = recipients
         ORDER BY requested_at LIMIT $1)`,
      [purgeBatch],
    )
    if ((rowCount ?? 0) < purgeBatch) return
  }
}

/** Receivers of stored sends that are not on Kafka yet, for metrics; only unfinished sends are looked at. */
export async function receiversWaiting(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ waiting: number }>(
    'SELECT coalesce(sum(recipients - position), 0)::float8 AS waiting FROM sends WHERE position < recipients',
  )
  return rows[0]!.waiting
}
