// The accounts of workspaces as the lanes use them: opened at first use, kept while their sealed text is the same.
import type { AccountOf, AccountSeal, ProviderName } from '@stepcast/accounts'
import type { ChannelType } from '@stepcast/contracts'
import type { Log } from '@stepcast/kafka'
import type { WorkspaceSettings, WorkspacesReplica } from '@stepcast/replica'
import type { Outcome, Provider, ProviderKind } from './provider'

/** What {@link Accounts} are made of. */
export interface AccountsOptions<C extends ChannelType> {
  readonly workspaces: Pick<WorkspacesReplica, 'load' | 'caughtUp'>
  readonly seal: AccountSeal
  /** The providers of the channel. */
  readonly kinds: readonly ProviderKind<C>[]
  readonly connections: number
  readonly minuteMs: number
  readonly log: Log
}

/** Why a workspace cannot send by a provider, as reasons of `skipped`: it has no account of the whole channel, or none of this provider. */
export type NoAccount = 'channel_disabled' | 'no_provider'

interface Opened<C extends ChannelType> {
  readonly sealed: string
  readonly provider: Provider<C>
  usedAt: number
}
interface Known {
  readonly settings: WorkspaceSettings
  readonly at: number
}

// A changed account is used within a second; a missing one is never believed without asking.
const believedMs = 1_000
// Settings of four accounts are about 8 kB, an open account holds a token or two: some 100 MB at most. The oldest goes first.
const maxWorkspaces = 10_000
const idleMs = 600_000
const sweepEveryMs = 60_000

/** Accounts by workspace and provider. */
export class Accounts<C extends ChannelType> {
  private readonly seen = new Map<string, Known>()
  private readonly opened = new Map<string, Opened<C>>()
  private sweptAt = performance.now()

  constructor(private readonly options: AccountsOptions<C>) {}

  /**
   * The providers with which each workspace can send. Who has not all of those needed (none needed: any) is asked about: that answer holds
   * for every account whose writing was acknowledged before the call.
   */
  async providersOf(needed: ReadonlyMap<string, ReadonlySet<string>>): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const settings = await this.settingsOf(needed)
    return new Map([...needed.keys()].map((workspaceId) => [workspaceId, this.configured(settings.get(workspaceId))]))
  }

  /** The open account of each workspace with a provider, or why there is none. */
  async open(providerName: ProviderName, workspaceIds: Iterable<string>): Promise<ReadonlyMap<string, Provider<C> | NoAccount>> {
    const settings = await this.settingsOf(new Map([...workspaceIds].map((workspaceId) => [workspaceId, new Set([providerName])])))
    this.sweep()
    const open = (workspaceId: string): Provider<C> | NoAccount => {
      const sealed = settings.get(workspaceId)?.providers?.[providerName]?.sealed
      if (sealed !== undefined) return this.openOne(workspaceId, providerName, sealed)
      return this.configured(settings.get(workspaceId)).size === 0 ? 'channel_disabled' : 'no_provider'
    }
    return new Map([...workspaceIds].map((workspaceId) => [workspaceId, open(workspaceId)]))
  }

  /** The open account as far as it is known here, without asking: for whoever calls us, since strangers must not make us ask Kafka. */
  async known(providerName: string, workspaceId: string): Promise<Provider<C> | null> {
    const kind = this.options.kinds.find(({ name }) => name === providerName)
    if (kind === undefined) return null
    const sealed = (await this.options.workspaces.load([workspaceId])).get(workspaceId)?.providers?.[kind.name]?.sealed
    return sealed === undefined ? null : this.openOne(workspaceId, kind.name, sealed)
  }

  /** Closes every account and then the providers' connections. */
  async close(): Promise<void> {
    await Promise.all([...this.opened.values()].map(({ provider }) => provider.close()))
    this.opened.clear()
    await Promise.all(this.options.kinds.map((kind) => kind.close()))
  }

  private configured(settings: WorkspaceSettings | undefined): ReadonlySet<string> {
    return new Set(this.options.kinds.map(({ name }) => name).filter((name) => settings?.providers?.[name] !== undefined))
  }

  private async settingsOf(needed: ReadonlyMap<string, ReadonlySet<string>>): Promise<ReadonlyMap<string, WorkspaceSettings>> {
    const isMet = (workspaceId: string, settings: WorkspaceSettings | undefined): boolean => {
      const has = this.configured(settings)
      const needs = needed.get(workspaceId)!
      return needs.size === 0 ? has.size > 0 : [...needs].every((name) => has.has(name))
    }
    const found = new Map<string, WorkspaceSettings>()
    const load = async (workspaceIds: readonly string[]): Promise<void> => {
      if (workspaceIds.length === 0) return
      const at = performance.now()
      for (const [workspaceId, settings] of await this.options.workspaces.load(workspaceIds)) {
        found.set(workspaceId, settings)
        this.remember(workspaceId, { settings, at })
      }
    }
    for (const workspaceId of needed.keys()) {
      const known = this.seen.get(workspaceId)
      if (known && performance.now() - known.at < believedMs) found.set(workspaceId, known.settings)
    }
    await load([...needed.keys()].filter((workspaceId) => !found.has(workspaceId)))
    const unmet = [...needed.keys()].filter((workspaceId) => !isMet(workspaceId, found.get(workspaceId)))
    if (unmet.length > 0) {
      await this.options.workspaces.caughtUp()
      await load(unmet)
    }
    return found
  }

  private remember(workspaceId: string, known: Known): void {
    this.seen.delete(workspaceId)
    if (this.seen.size >= maxWorkspaces) this.seen.delete(this.seen.keys().next().value!)
    this.seen.set(workspaceId, known)
  }

  private openOne(workspaceId: string, providerName: ProviderName, sealed: string): Provider<C> {
    const key = `${workspaceId}/${providerName}`
    const before = this.opened.get(key)
    if (before?.sealed === sealed) {
      before.usedAt = performance.now()
      return before.provider
    }
    if (before) this.letGo(key)
    if (this.opened.size >= maxWorkspaces) this.letGo(this.opened.keys().next().value!)
    const provider = this.provider(workspaceId, providerName, sealed)
    this.opened.set(key, { sealed, provider, usedAt: performance.now() })
    return provider
  }

  private provider(workspaceId: string, providerName: ProviderName, sealed: string): Provider<C> {
    const { kinds, seal, connections, minuteMs, log } = this.options
    const kind = kinds.find(({ name }) => name === providerName)!
    try {
      const account: AccountOf[ProviderName] = seal.open(workspaceId, providerName, sealed)
      return kind.open(account, { workspaceId, connections, minuteMs })
    } catch (error) {
      // Its messages wait until they expire: whoever mends the key or gives the account again saves them.
      log.error({ workspaceId, provider: providerName, error: (error as Error).message }, 'a provider account cannot be opened')
      const outcome: Outcome = { kind: 'retry', reason: 'account_unreadable', afterMs: null }
      return { name: providerName, send: () => Promise.resolve(outcome), close: () => Promise.resolve() }
    }
  }

  private sweep(): void {
    const now = performance.now()
    if (now - this.sweptAt < sweepEveryMs) return
    this.sweptAt = now
    for (const [key, { usedAt }] of this.opened) if (now - usedAt > idleMs) this.letGo(key)
  }

  private letGo(key: string): void {
    const { provider } = this.opened.get(key)!
    this.opened.delete(key)
    provider.close().catch((error: Error) => this.options.log.warn({ error: error.message }, 'an account did not close'))
  }
}
