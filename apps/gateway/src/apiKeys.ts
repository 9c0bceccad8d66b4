// API keys of a workspace: 256 random bits shown once, kept as a hash.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { conflict, keyset, type KeyScope, keyScopes, notFound, type Page } from '@stepcast/service'
import type { Pool, PoolClient } from 'pg'
import { z } from 'zod'

// Far more than anyone rotates through; a loop that makes keys stops here.
const maxActiveKeys = 100

/** What `POST /v1/workspace/api-keys` takes. */
export const newApiKey = z.strictObject({
  name: z.string().trim().min(1).max(100),
  scopes: z
    .array(z.enum(keyScopes))
    .min(1)
    .transform((scopes) => keyScopes.filter((scope) => scopes.includes(scope))),
})

/** An API key as it can be read again: never the key itself. */
export const apiKey = z.object({
  keyId: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(keyScopes)),
  prefix: z.string().describe('the first characters, to recognise a key by'),
  createdAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().nullable(),
})
export type ApiKey = z.output<typeof apiKey>

/** The owner of a key that was shown to us. */
export interface KeyOwner {
  readonly keyId: string
  readonly workspaceId: string
  readonly scopes: readonly KeyScope[]
}

interface ApiKeyRow {
  key_id: string
  name: string
  scopes: KeyScope[]
  prefix: string
  created_at: Date
  revoked_at: Date | null
}

const columns = 'key_id, name, scopes, prefix, created_at, revoked_at'

const answerOf = ({ key_id, name, scopes, prefix, created_at, revoked_at }: ApiKeyRow): ApiKey => ({
  keyId: key_id,
  name,
  scopes,
  prefix,
  createdAt: created_at.toISOString(),
  revokedAt: revoked_at?.toISOString() ?? null,
})

const keyPattern = /^sk_[A-Za-z0-9_-]{43}$/
const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()

/** Makes a key; `key` is in no other answer ever. 404 without such a workspace, 409 beyond 100 active keys. */
export async function makeApiKey(
  tx: PoolClient,
  workspaceId: string,
  { name, scopes }: z.output<typeof newApiKey>,
): Promise<ApiKey & { key: string }> {
  // The workspace's row is the lock under which its keys are counted.
  const { rowCount } = await tx.query('SELECT FROM workspaces WHERE workspace_id = $1 FOR UPDATE', [workspaceId])
  if (rowCount === 0) throw notFound(`There is no workspace ${workspaceId}.`)
  const {
    rows: [count],
  } = await tx.query<{ active: number }>('SELECT count(*)::int AS active FROM api_keys WHERE workspace_id = $1 AND revoked_at IS NULL', [
    workspaceId,
  ])
  if (count!.active >= maxActiveKeys) throw conflict(`A workspace has at most ${maxActiveKeys} active API keys: revoke one first.`)
  const key = `sk_${randomBytes(32).toString('base64url')}`
  const {
    rows: [row],
  } = await tx.query<ApiKeyRow>(
    `INSERT INTO api_keys (key_id, workspace_id, name, scopes, prefix, key_hash) VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${columns}`,
    [`ak_${randomBytes(12).toString('base64url')}`, workspaceId, name, scopes, key.slice(0, 9), hashOf(key)],
  )
  return { ...answerOf(row!), key }
}

/** The keyset of a list of keys: the last keyId. */
export const apiKeyOrder = keyset('api-keys', 'text')

/** Keys in the order they were made, revoked ones too; one more than the page holds where there are more. */
export async function listApiKeys(pool: Pool, workspaceId: string, { limit, after }: Page<typeof apiKeyOrder.shape>): Promise<ApiKey[]> {
  const { rows } = await pool.query<ApiKeyRow>(
    `SELECT ${columns} FROM api_keys
     WHERE workspace_id = $1 AND ($2::text IS NULL OR
       (created_at, key_id) > (SELECT created_at, key_id FROM api_keys WHERE key_id = $2 AND workspace_id = $1))
     ORDER BY created_at, key_id LIMIT $3`,
    [workspaceId, after?.[0] ?? null, limit + 1],
  )
  return rows.map(answerOf)
}

/** Revokes a key; again makes no difference. False when the workspace has no such key. */
export async function revokeApiKey(pool: Pool, workspaceId: string, keyId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    'UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE workspace_id = $1 AND key_id = $2',
    [workspaceId, keyId],
  )
  return rowCount === 1
}

/** Whose key it is; null for one that is unknown or revoked. */
export async function ownerOfKey(pool: Pool, key: string): Promise<KeyOwner | null> {
  if (!keyPattern.test(key)) return null
  const hash = hashOf(key)
  const {
    rows: [row],
  } = await pool.query<{ key_id: string; workspace_id: string; scopes: KeyScope[]; key_hash: Buffer }>(
    'SELECT key_id, workspace_id, scopes, key_hash FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL',
    [hash],
  )
  if (row === undefined || !timingSafeEqual(row.key_hash, hash)) return null
  return { keyId: row.key_id, workspaceId: row.workspace_id, scopes: row.scopes }
}
