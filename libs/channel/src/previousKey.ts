// Whether a dispatcher still needs the previous encryption key for accounts: the gateway seals them anew and tells of them by the topic.
import { AccountSeal, forgetPreviousKey, SealBroken, type EncryptionKeys, type ProviderName } from '@stepcast/accounts'
import type { Log } from '@stepcast/kafka'
import type { Queryable } from '@stepcast/postgres'

// News of an account come within seconds; what is not renewed by then waits for a gateway that has both keys.
const firstAgainMs = 2_000
const lookAgainMs = 60_000
const batch = 500

/** Looks again and again, once a minute in the end, while both keys are given, until every account it knows is sealed with the current one. */
export class PreviousKey {
  private timer: NodeJS.Timeout | null = null
  private looking: Promise<void> = Promise.resolve()
  private stopped = false
  private againMs = firstAgainMs

  constructor(
    private readonly db: Queryable,
    private readonly keys: EncryptionKeys,
    private readonly log: Log,
  ) {}

  start(): void {
    if (this.keys.previous !== null) this.looking = this.look()
  }

  async stop(): Promise<void> {
    this.stopped = true
    if (this.timer !== null) clearTimeout(this.timer)
    await this.looking
  }

  private async look(): Promise<void> {
    try {
      if (await areRenewed(this.db, new AccountSeal(this.keys))) {
        await forgetPreviousKey(this.db, this.keys)
        this.log.info(
          {},
          'no account here is sealed with STEPCAST_ENCRYPTION_KEY_PREVIOUS any more; tracked links made with it lead on as long as it is given',
        )
        return
      }
    } catch (error) {
      this.log.warn({ err: error }, 'the accounts could not be looked at; again soon')
    }
    if (this.stopped) return
    this.timer = setTimeout(() => (this.looking = this.look()), this.againMs)
    this.againMs = Math.min(lookAgainMs, 2 * this.againMs)
  }
}

/** Whether no account of a dispatcher opens by the previous key alone. */
export async function areRenewed(db: Queryable, seal: AccountSeal): Promise<boolean> {
  for (let after = ''; ; ) {
    const { rows } = await db.query<{ workspace_id: string; providers: Partial<Record<ProviderName, { sealed: string }>> }>(
      `SELECT workspace_id, settings->'providers' AS providers FROM workspaces
       WHERE workspace_id > $1 AND settings->'providers' <> '{}' ORDER BY workspace_id LIMIT $2`,
      [after, batch],
    )
    for (const { workspace_id, providers } of rows) {
      for (const [provider, { sealed }] of Object.entries(providers)) {
        if (!isRenewed(seal, workspace_id, provider as ProviderName, sealed)) return false
      }
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < batch) return true
    after = last.workspace_id
  }
}

function isRenewed(seal: AccountSeal, workspaceId: string, provider: ProviderName, sealed: string): boolean {
  try {
    return seal.renewed(workspaceId, provider, sealed) === null
  } catch (error) {
    // Opens with neither: no key would help.
    if (error instanceof SealBroken) return true
    throw error
  }
}
