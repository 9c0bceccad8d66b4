// Which keys a database's secrets are sealed with: their fingerprints stand beside the secrets, so that a start with other keys refuses.
import { hkdfSync } from 'node:crypto'
import { InstallationError } from '@stepcast/contracts'
import type { Client, Pool, PoolClient } from 'pg'
import type { MigrationInterface, QueryRunner } from 'typeorm'
import type { ProviderName } from './account'
import { AccountSeal } from './sealed'
import { Seal, SealBroken, type EncryptionKeys } from './seal'

/** A pool, a transaction or a single connection. */
type Queryable = Pick<Pool | PoolClient | Client, 'query'>

/** The keys that something in the schema may be sealed with. */
export const encryptionKeysTableSql = `
CREATE TABLE encryption_keys (
  fingerprint text PRIMARY KEY,       -- tells two keys apart and says nothing of either
  since timestamptz NOT NULL DEFAULT now()
)`

/** The same as a migration, for every service that seals or opens. */
export class EncryptionKeys1764400000000 implements MigrationInterface {
  name = 'EncryptionKeys1764400000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(encryptionKeysTableSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE encryption_keys')
  }
}

/** A schema with secrets. */
export interface SealedPlace {
  /** Holds `workspaces`, where the gateway's or a dispatcher's are; null: the one on the search path. */
  readonly schema: string | null
  /** The file where a local start keeps the key, for the sentence. */
  readonly file?: string
}

/** 64 bits of a key that do not lead back to it. */
export const fingerprintOfKey = (key: string): string =>
  Buffer.from(hkdfSync('sha256', key, '', 'stepcast fingerprint of the encryption key', 8)).toString('hex')

const undefinedTable = '42P01'

/**
 * Why these keys do not fit what a database holds, in a sentence that names the variable and the file; null where they do.
 * @param keys null: there are none, although a key may be needed
 */
export async function keysProblem(db: Queryable, keys: EncryptionKeys | null, place: SealedPlace): Promise<string | null> {
  const given = keys === null ? [] : [keys.current, ...(keys.previous === null ? [] : [keys.previous])].map(fingerprintOfKey)
  const held = await heldKeys(db, place)
  const missing = held.filter((fingerprint) => !given.includes(fingerprint))
  // Written by a version without fingerprints, or by nobody: what is sealed tells.
  const fits = held.length > 0 ? missing.length === 0 : await opensWhatIsStored(db, keys, place)
  if (fits) return null
  const variable = keys?.variable ?? 'STEPCAST_INTERNAL_SECRET'
  const where = place.file ?? '`npm start` keeps it in secrets/internal of its data directory'
  const which =
    missing.length === 0
      ? ''
      : ` (the database needs the key with the fingerprint ${missing.join(' and ')}, ${given.length === 0 ? 'none was given' : `given: ${given.join(' and ')}`})`
  return (
    `${variable} (${where}) is not what the signing keys and provider accounts in this database are sealed with${which}: ` +
    'give that key back, or give it as STEPCAST_ENCRYPTION_KEY_PREVIOUS beside a new STEPCAST_ENCRYPTION_KEY'
  )
}

/**
 * Refuses keys that do not fit, and notes that the current one is used from now on.
 * @throws InstallationError in a sentence that names the variable and the file
 */
export async function requireKeys(db: Queryable, keys: EncryptionKeys): Promise<void> {
  const problem = await keysProblem(db, keys, { schema: null })
  if (problem !== null) throw new InstallationError(problem)
  await db.query('INSERT INTO encryption_keys (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING', [fingerprintOfKey(keys.current)])
}

/** Notes that nothing is sealed with the previous key any more; false: that was known. */
export async function forgetPreviousKey(db: Queryable, { previous }: EncryptionKeys): Promise<boolean> {
  if (previous === null) return false
  const { rowCount } = await db.query('DELETE FROM encryption_keys WHERE fingerprint = $1', [fingerprintOfKey(previous)])
  return rowCount === 1
}

const prefixOf = ({ schema }: SealedPlace): string => (schema === null ? '' : `"${schema}".`)

/** Rows of a table that an older version may not have, or a new database has not yet. */
async function rowsOf<Row extends object>(db: Queryable, sql: string): Promise<Row[]> {
  try {
    return (await db.query<Row>(sql)).rows
  } catch (error) {
    if ((error as { code?: string }).code === undefinedTable) return []
    throw error
  }
}

const heldKeys = async (db: Queryable, place: SealedPlace): Promise<string[]> =>
  (await rowsOf<{ fingerprint: string }>(db, `SELECT fingerprint FROM ${prefixOf(place)}encryption_keys ORDER BY since`)).map(
    ({ fingerprint }) => fingerprint,
  )

// A few tell: all of an installation were sealed with one key before fingerprints were kept.
const samples = 5

async function opensWhatIsStored(db: Queryable, keys: EncryptionKeys | null, place: SealedPlace): Promise<boolean> {
  const signing = await rowsOf<{ workspace_id: string; n: number; sealed: Buffer }>(
    db,
    `SELECT workspace_id, n, sealed FROM ${prefixOf(place)}signing_keys LIMIT ${samples}`,
  )
  const accounts = await rowsOf<{ workspace_id: string; providers: Partial<Record<ProviderName, { sealed: string }>> }>(
    db,
    `SELECT workspace_id, settings->'providers' AS providers FROM ${prefixOf(place)}workspaces WHERE settings->'providers' <> '{}' LIMIT ${samples}`,
  )
  if (signing.length === 0 && accounts.length === 0) return true
  if (keys === null) return false
  const [seal, accountSeal] = [new Seal(keys), new AccountSeal(keys)]
  // One that was spoiled by itself says nothing of the key.
  return (
    signing.some(({ workspace_id, n, sealed }) => opens(() => seal.open(sealed, `${workspace_id}.${n}`))) ||
    accounts.some(({ workspace_id, providers }) =>
      Object.entries(providers).some(([provider, { sealed }]) =>
        opens(() => accountSeal.renewed(workspace_id, provider as ProviderName, sealed)),
      ),
    )
  )
}

function opens(open: () => unknown): boolean {
  try {
    open()
    return true
  } catch (error) {
    if (error instanceof SealBroken) return false
    throw error
  }
}
