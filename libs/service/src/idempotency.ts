// Rule 16: the same Idempotency-Key gives the first answer again; with another body it is refused.
import { createHash } from 'node:crypto'
import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import { inTransaction } from '@stepcast/postgres'
import type { Request } from 'express'
import type { Pool, PoolClient } from 'pg'
import type { CallerContext } from './context'
import { Problem, refused, unreadable } from './problem'
import { answerWith } from './trace'

/** For a service's migration. Keys are kept 30 days at least. */
export const idempotencyTableSql = `
  CREATE TABLE idempotency_keys (
    workspace_id text        NOT NULL,
    route        text        NOT NULL,
    key          text        NOT NULL,
    fingerprint  text        NOT NULL,
    answer       jsonb       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, route, key)
  );
  CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);`

// In flight is known by a lock of the transaction, so a crash leaves nothing behind.
const lockSql = `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked`
const findSql = `SELECT fingerprint, answer FROM idempotency_keys WHERE workspace_id = $1 AND route = $2 AND key = $3`
// Each new key clears up to two that are past their 30 days: bounded work, and no timer.
const keepSql = `
  WITH expired AS (
    DELETE FROM idempotency_keys WHERE (workspace_id, route, key) IN (
      SELECT workspace_id, route, key FROM idempotency_keys WHERE created_at < now() - interval '30 days'
      ORDER BY created_at LIMIT 2 FOR UPDATE SKIP LOCKED))
  INSERT INTO idempotency_keys (workspace_id, route, key, fingerprint, answer) VALUES ($1, $2, $3, $4, $5)`

/**
 * Does a write once per key: `run` and the record of its answer are one transaction.
 * @param route a stable name of the call, such as `POST /v1/sends`; the same key on two routes is two keys.
 * @param key the `Idempotency-Key`, null without one (then `run` is simply done).
 * @param bodyFingerprint {@link fingerprintOf} the body.
 * @param run does the work in the transaction it is given; its answer must survive JSON (bigint and Date do not).
 * @throws Problem 409 while the first call is in flight, 422 when the key was used with another body. What `run` throws is not kept.
 */
export async function idempotent<T>(
  pool: Pool,
  caller: Pick<CallerContext, 'workspaceId'>,
  route: string,
  key: string | null,
  bodyFingerprint: string,
  run: (tx: PoolClient) => Promise<T>,
): Promise<T> {
  if (key === null) return inTransaction(pool, run)
  return inTransaction(pool, async (tx) => {
    const name = [caller.workspaceId, route, key]
    const {
      rows: [lock],
    } = await tx.query<{ locked: boolean }>(lockSql, [name.join('\n')])
    if (!lock?.locked) {
      const detail = `A call with the Idempotency-Key ${JSON.stringify(key)} is still in flight: try again when it has ended.`
      throw new Problem({ status: 409, type: 'urn:stepcast:in-flight', detail })
    }
    const {
      rows: [first],
    } = await tx.query<{ fingerprint: string; answer: T }>(findSql, name)
    if (first !== undefined) {
      if (first.fingerprint !== bodyFingerprint)
        throw refused([{ path: '/Idempotency-Key', message: 'was used with another body: use a new key for a new request' }])
      markReplayed()
      return first.answer
    }
    const answer = await run(tx)
    await tx.query(keepSql, [...name, bodyFingerprint, JSON.stringify(answer ?? null)])
    return answer
  })
}

/** Says on the answer that it is the one an earlier call with the same key was given. */
export const markReplayed = (): void => answerWith('idempotent-replayed', 'true')

/** The fingerprint of a body: sha-256 of its JSON with sorted field names. */
export const fingerprintOf = (body: unknown): string => createHash('sha256').update(canonicalJson(body)).digest('hex')

/** JSON with sorted field names: equal for equal values, however they were written. */
export const canonicalJson = (value: unknown): string => (JSON.stringify(sorted(value)) as string | undefined) ?? ''

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, part]) => [name, sorted(part)]),
  )
}

/** The request's `Idempotency-Key`, null without one. 400 when it is empty or over 255 characters. */
export const IdempotencyKey = createParamDecorator((_data: unknown, context: ExecutionContext): string | null => {
  const key = context.switchToHttp().getRequest<Request>().headers['idempotency-key']
  if (key === undefined) return null
  if (typeof key === 'string' && key.length >= 1 && key.length <= 255) return key
  throw unreadable([{ path: '/Idempotency-Key', message: 'must have 1 to 255 characters' }])
})
