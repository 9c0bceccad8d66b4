// Signing keys of a workspace: secrets with which its backend signs user tokens, shown once and kept encrypted.
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { SealBroken, type Seal } from '@stepcast/accounts'
import { conflict, keyset, type Page, unavailable } from '@stepcast/service'
import type { Pool, PoolClient } from 'pg'
import { z } from 'zod'

// Two are in use while one is rotated out.
const maxActiveKeys = 20

/** A signing key as it can be read again: never its secret. */
export const signingKey = z.object({
  kid: z.string().describe('<workspaceId>.<n>: the kid header of the tokens it signs'),
  createdAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().nullable(),
})
export type SigningKey = z.output<typeof signingKey>

interface SigningKeyRow {
  n: number
  created_at: Date
  revoked_at: Date | null
}

const answerOf = (workspaceId: string, { n, created_at, revoked_at }: SigningKeyRow): SigningKey => ({
  kid: `${workspaceId}.${n}`,
  createdAt: created_at.toISOString(),
  revokedAt: revoked_at?.toISOString() ?? null,
})

/** Takes a `kid` apart; null when it is none. */
export function parseKid(kid: string): { workspaceId: string; n: number } | null {
  const match = /^([a-z0-9][a-z0-9-]{0,62})\.([1-9][0-9]{0,8})$/.exec(kid)
  return match === null ? null : { workspaceId: match[1]!, n: Number(match[2]) }
}

/** Makes a key; `secret` is in no other answer ever. 409 beyond 20 active keys. */
export async function makeSigningKey(tx: PoolClient, seal: Seal, workspaceId: string): Promise<SigningKey & { secret: string }> {
  // Numbers follow each other under the lock of the workspace's row.
  await tx.query('SELECT FROM workspaces WHERE workspace_id = $1 FOR UPDATE', [workspaceId])
  const {
    rows: [held],
  } = await tx.query<{ last: number; active: number }>(
    `SELECT coalesce(max(n), 0)::int AS last, (count(*) FILTER (WHERE revoked_at IS NULL))::int AS active
     FROM signing_keys WHERE workspace_id = $1`,
    [workspaceId],
  )
  if (held!.active >= maxActiveKeys) throw conflict(`A workspace has at most ${maxActiveKeys} active signing keys: revoke one first.`)
  const n = held!.last + 1
  const secret = randomBytes(32).toString('base64url')
  const {
    rows: [row],
  } = await tx.query<SigningKeyRow>(
    'INSERT INTO signing_keys (workspace_id, n, sealed) VALUES ($1, $2, $3) RETURNING n, created_at, revoked_at',
    [workspaceId, n, seal.close(secret, `${workspaceId}.${n}`)],
  )
  return { ...answerOf(workspaceId, row!), secret }
}

/** The keyset of a list of keys: their numbers. */
export const signingKeyOrder = keyset('signing-keys', 'int4')

/** Keys in the order they were made, revoked ones too; one more than the page holds where there are more. */
export async function listSigningKeys(
  pool: Pool,
  workspaceId: string,
  { limit, after }: Page<typeof signingKeyOrder.shape>,
): Promise<SigningKey[]> {
  const { rows } = await pool.query<SigningKeyRow>(
    'SELECT n, created_at, revoked_at FROM signing_keys WHERE workspace_id = $1 AND n > $2 ORDER BY n LIMIT $3',
    [workspaceId, after?.[0] ?? 0, limit + 1],
  )
  return rows.map((row) => answerOf(workspaceId, row))
}

/** Revokes a key; again makes no difference. False when the workspace has no such key. */
export async function revokeSigningKey(pool: Pool, workspaceId: string, kid: string): Promise<boolean> {
  const parts = parseKid(kid)
  if (parts === null || parts.workspaceId !== workspaceId) return false
  const { rowCount } = await pool.query(
    'UPDATE signing_keys SET revoked_at = coalesce(revoked_at, now()) WHERE workspace_id = $1 AND n = $2',
    [workspaceId, parts.n],
  )
  return rowCount === 1
}

/** The key that verifies tokens of a `kid`: the UTF-8 bytes of the secret as it was shown. Null for one that is unknown or revoked. */
export async function verifyingKey(pool: Pool, seal: Seal, kid: string): Promise<KeyObject | null> {
  const parts = parseKid(kid)
  if (parts === null) return null
  const {
    rows: [row],
  } = await pool.query<{ sealed: Buffer }>('SELECT sealed FROM signing_keys WHERE workspace_id = $1 AND n = $2 AND revoked_at IS NULL', [
    parts.workspaceId,
    parts.n,
  ])
  if (row === undefined) return null
  try {
    return createSecretKey(Buffer.from(seal.open(row.sealed, kid)))
  } catch (error) {
    // A start with other keys is refused: this one was spoiled, or sealed by a process that has other keys.
    if (!(error instanceof SealBroken)) throw error
    throw unavailable(`The signing key ${kid} cannot be opened with the encryption key of this installation: revoke it and make another.`)
  }
}
