// What channels that cost money have in common: one number per person, signed callbacks, tracked links, no repetition on suspicion.
import type { Pool } from 'pg'
import type { ChannelType } from '@stepcast/contracts'
import { LOG, Registry, type Log } from '@stepcast/service'
import type { ContentOf } from '@stepcast/template'
import { CallbacksController } from './callbacksController'
import { LinkVisits } from './clicks'
import { Dispatch } from './dispatch'
import type { DispatcherOptions } from './dispatcher'
import type { DispatcherConfig } from './dispatcherConfig'
import { CONFIG, POOL } from './dispatcherTokens'
import { eraseLinks, trackLinks, type Track } from './links'
import { LinksController } from './linksController'
import { LinkTokens, type LinkLetter } from './linkTokens'
import { LinksAndStatuses1764000000001, SkippedStatuses1764900000000 } from './paidTables'

/** Settings of a paid channel. */
export interface PaidChannelConfig extends DispatcherConfig {
  /** How long tracked links lead anywhere, 1 to 30 days. */
  readonly linkDays: number
}

/**
 * The part of a paid channel's declaration that is the same for all. Each message costs money, so an attempt of unknown outcome is
 * repeated only for workspaces that say so (rule 12).
 * @param letter of the service's links
 * @param replace gives content whose links are replaced by those that `track` answers
 */
export function paidChannel<C extends ChannelType, Config extends PaidChannelConfig>(
  letter: LinkLetter,
  replace: (content: ContentOf[C], track: Track) => ContentOf[C],
): Pick<DispatcherOptions<C, Config>, 'noAddress' | 'resendUnknown' | 'steps' | 'migrations' | 'controllers' | 'providers'> {
  const tokensOf = ({ encryptionKeys }: Config): LinkTokens => new LinkTokens(encryptionKeys, letter)
  return {
    noAddress: 'no_number',
    resendUnknown: 'as_the_workspace_says',
    steps: ({ config, pool }) => ({
      prepare: (messages) =>
        trackLinks(messages, replace, { pool, tokens: tokensOf(config), publicUrl: config.publicUrl, days: config.linkDays }),
      onErased: eraseLinks,
    }),
    migrations: [LinksAndStatuses1764000000001, SkippedStatuses1764900000000],
    controllers: [CallbacksController, LinksController],
    providers: [
      {
        provide: LinkVisits,
        inject: [CONFIG, POOL, Dispatch, LOG, Registry],
        useFactory: (config: Config, pool: Pool, dispatch: Dispatch<C>, log: Log, registry: Registry) =>
          new LinkVisits({ pool, tokens: tokensOf(config), dispatch, log, registry }),
      },
    ],
  }
}
