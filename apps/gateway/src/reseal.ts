// Turns what is sealed with the previous key over to the current one, a batch at a time: at the start and every hour while both are given.
import {
  AccountSeal,
  forgetPreviousKey,
  Seal,
  SealBroken,
  type EncryptionKeys,
  type ProviderName,
  type SealedAccount,
} from '@stepcast/accounts'
import { inTransaction } from '@stepcast/postgres'
import type { Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { tellWorkspace, writeAccount } from './workspaces'

// A row opens and closes in some microseconds: a batch is its one query and its updates.
const batch = 200
const againMs = 3_600_000
// Kafka or PostgreSQL away: the pass goes on where it was, and it has time.
const afterErrorMs = 30_000

/** What a pass did. */
export interface Resealed {
  readonly signingKeys: number
  readonly accounts: number
  /** Names of what opens with neither key. */
  readonly broken: readonly string[]
}

/**
 * One pass over everything that is sealed. Safe in several processes at once and when it is interrupted: what is sealed with the current key
 * is left alone, and a row is written only as it was read.
 */
export async function reseal(pool: Pool, keys: EncryptionKeys): Promise<Resealed> {
  const broken: string[] = []
  const signingKeys = await resealSigningKeys(pool, new Seal(keys), broken)
  const accounts = await resealAccounts(pool, new AccountSeal(keys), broken)
  return { signingKeys, accounts, broken }
}

async function resealSigningKeys(pool: Pool, seal: Seal, broken: string[]): Promise<number> {
  let done = 0
  for (let after: readonly [string, number] = ['', 0]; ; ) {
    const { rows } = await pool.query<{ workspace_id: string; n: number; sealed: Buffer }>(
      'SELECT workspace_id, n, sealed FROM signing_keys WHERE (workspace_id, n) > ($1, $2) ORDER BY workspace_id, n LIMIT $3',
      [...after, batch],
    )
    for (const { workspace_id: workspaceId, n, sealed } of rows) {
      const renewed = renewal(() => seal.renewed(sealed, `${workspaceId}.${n}`), `${workspaceId}.${n}`, broken)
      if (renewed === null) continue
      const { rowCount } = await pool.query('UPDATE signing_keys SET sealed = $3 WHERE workspace_id = $1 AND n = $2 AND sealed = $4', [
        workspaceId,
        n,
        renewed,
        sealed,
      ])
      done += rowCount ?? 0
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < batch) return done
    after = [last.workspace_id, last.n]
  }
}

async function resealAccounts(pool: Pool, seal: AccountSeal, broken: string[]): Promise<number> {
  let done = 0
  for (let after = ''; ; ) {
    const { rows } = await pool.query<{ workspace_id: string }>(
      `SELECT workspace_id FROM workspaces WHERE workspace_id > $1 AND settings->'providers' <> '{}' ORDER BY workspace_id LIMIT $2`,
      [after, batch],
    )
    for (const { workspace_id } of rows) done += await resealWorkspace(pool, seal, workspace_id, broken)
    const last = rows.at(-1)
    if (last === undefined || rows.length < batch) return done
    after = last.workspace_id
  }
}

/** The accounts of one workspace, and the news of them to every dispatcher: one transaction, under the lock of its row. */
function resealWorkspace(pool: Pool, seal: AccountSeal, workspaceId: string, broken: string[]): Promise<number> {
  return inTransaction(pool, async (tx) => {
    const {
      rows: [row],
    } = await tx.query<{ providers: Partial<Record<ProviderName, SealedAccount>> | null }>(
      `SELECT settings->'providers' AS providers FROM workspaces WHERE workspace_id = $1 FOR UPDATE`,
      [workspaceId],
    )
    let done = 0
    for (const [name, account] of Object.entries(row?.providers ?? {})) {
      const provider = name as ProviderName
      const sealed = renewal(() => seal.renewed(workspaceId, provider, account.sealed), `${workspaceId}/${name}`, broken)
      if (sealed === null) continue
      await writeAccount(tx, workspaceId, provider, { ...account, sealed })
      done++
    }
    if (done > 0) await tellWorkspace(tx, workspaceId)
    return done
  })
}

function renewal<T>(renew: () => T | null, name: string, broken: string[]): T | null {
  try {
    return renew()
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    broken.push(name)
    return null
  }
}

/** Re-seals while both keys are given, until it is stopped. */
export class Resealing {
  private timer: NodeJS.Timeout | null = null
  private running: Promise<void> = Promise.resolve()
  private stopped = false

  constructor(
    private readonly pool: Pool,
    private readonly keys: EncryptionKeys,
    private readonly log: Log,
  ) {}

  start(): void {
    if (this.keys.previous !== null) this.running = this.pass()
  }

  async stop(): Promise<void> {
    this.stopped = true
    if (this.timer !== null) clearTimeout(this.timer)
    await this.running
  }

  private async pass(): Promise<void> {
    let nextMs = againMs
    try {
      const { broken, ...counts } = await reseal(this.pool, this.keys)
      await forgetPreviousKey(this.pool, this.keys)
      if (broken.length > 0)
        this.log.error(
          { broken: broken.slice(0, 20), count: broken.length },
          'sealed with neither key: make these signing keys, or give these provider accounts, anew',
        )
      this.log.info(
        counts,
        'everything is sealed with STEPCAST_ENCRYPTION_KEY: once every process runs with it, and after the tracked links of the last 30 days, STEPCAST_ENCRYPTION_KEY_PREVIOUS may go',
      )
    } catch (error) {
      this.log.warn({ err: error }, 'sealing anew is interrupted and goes on in 30 s')
      nextMs = afterErrorMs
    }
    if (!this.stopped) this.timer = setTimeout(() => (this.running = this.pass()), nextMs)
  }
}
