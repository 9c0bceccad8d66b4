// The calls about provider accounts: given, recognised, taken away, never shown.
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put } from '@nestjs/common'
import {
  AccountSeal,
  apnsAccount,
  fcmAccount,
  hintOf,
  providerNames,
  solapiAccount,
  twilioAccount,
  type AccountOf,
  type ProviderName,
  type SealedAccount,
} from '@stepcast/accounts'
import { inTransaction, OutboxRelay } from '@stepcast/postgres'
import { Caller, Describe, notFound, RequireScope, unavailable, Undescribed } from '@stepcast/service'
import { Pool } from 'pg'
import { z } from 'zod'
import { readAccounts, tellWorkspace, writeAccount } from './workspaces'

const providerAccount = z.object({
  provider: z.enum(providerNames),
  account: z.string().describe('what the account is recognised by: the project id, key id, account SID or API key; never a secret'),
  updatedAt: z.iso.datetime(),
})
type ProviderAccount = z.output<typeof providerAccount>

const providerName = z.enum(providerNames)
const common =
  'It replaces the one before, is encrypted at rest and never shown again. 503 when Kafka did not acknowledge within 5 s: it is kept.'
const given = (summary: string, what: string): MethodDecorator =>
  Describe({ summary, description: `${what} ${common}`, answer: providerAccount })

@Controller('v1/workspace/providers')
@RequireScope('admin')
export class ProviderRoutes {
  constructor(
    @Inject(Pool) private readonly pool: Pool,
    @Inject(OutboxRelay) private readonly relay: OutboxRelay,
    @Inject(AccountSeal) private readonly seal: AccountSeal,
  ) {}

  /** Push to Android, web and (through Firebase) iOS. */
  @Put('fcm')
  @given('Give the FCM account', "`serviceAccount` is the file of a Firebase project's service account, as Google's console gives it.")
  fcm(@Body({ schema: fcmAccount }) account: AccountOf['fcm'], @Caller() caller: Caller): Promise<ProviderAccount> {
    return this.give(caller, 'fcm', account)
  }

  /** Push to Apple's devices. */
  @Put('apns')
  @given('Give the APNs account', 'A `.p8` key of the developer team with the bundle id of the app.')
  apns(@Body({ schema: apnsAccount }) account: AccountOf['apns'], @Caller() caller: Caller): Promise<ProviderAccount> {
    return this.give(caller, 'apns', account)
  }

  /** SMS. */
  @Put('twilio')
  @given('Give the Twilio account', 'SMS come from `from` or from the messaging service: exactly one of them.')
  twilio(@Body({ schema: twilioAccount }) account: AccountOf['twilio'], @Caller() caller: Caller): Promise<ProviderAccount> {
    return this.give(caller, 'twilio', account)
  }

  /** KakaoTalk Alimtalk. */
  @Put('solapi')
  @given('Give the Solapi account', "`webhookSecret` is what Solapi's webhook to /v1/callbacks/solapi/{workspaceId} is signed with.")
  solapi(@Body({ schema: solapiAccount }) account: AccountOf['solapi'], @Caller() caller: Caller): Promise<ProviderAccount> {
    return this.give(caller, 'solapi', account)
  }

  /** There are no others. */
  @Put(':provider')
  @Undescribed()
  other(@Param('provider') provider: string): never {
    throw notFound(`There is no provider ${JSON.stringify(provider.slice(0, 40))}: give an account of ${providerNames.join(', ')}.`)
  }

  /** The accounts the workspace has, four at most. */
  @Get()
  @Describe({ summary: 'List provider accounts', answer: z.object({ items: z.array(providerAccount) }) })
  async list(@Caller() { workspaceId }: Caller): Promise<{ items: ProviderAccount[] }> {
    const accounts = (await readAccounts(this.pool, workspaceId)) ?? gone(workspaceId)
    return {
      items: providerNames.flatMap((provider) => {
        const { account, updatedAt } = accounts[provider] ?? {}
        return account === undefined || updatedAt === undefined ? [] : [{ provider, account, updatedAt }]
      }),
    }
  }

  /** Takes an account away: what is commanded from now on is skipped. Again makes no difference. */
  @Delete(':provider')
  @HttpCode(204)
  @Describe({ summary: 'Take a provider account away', description: 'Messages of the channel are skipped from then on.' })
  async remove(@Param('provider', { schema: providerName }) provider: ProviderName, @Caller() { workspaceId }: Caller): Promise<void> {
    await this.write(workspaceId, provider, null)
  }

  private async give<P extends ProviderName>({ workspaceId }: Caller, provider: P, account: AccountOf[P]): Promise<ProviderAccount> {
    const hint = hintOf(provider, account)
    const updatedAt = new Date().toISOString()
    const sealed = this.seal.close(workspaceId, provider, account)
    await this.write(workspaceId, provider, { sealed, account: hint, updatedAt })
    return { provider, account: hint, updatedAt }
  }

  private async write(workspaceId: string, provider: ProviderName, account: SealedAccount | null): Promise<void> {
    const outboxIds = await inTransaction(this.pool, async (tx) => {
      if (!(await writeAccount(tx, workspaceId, provider, account))) gone(workspaceId)
      return tellWorkspace(tx, workspaceId)
    })
    if (await this.relay.published(outboxIds, { timeoutMs: 5_000 })) return
    throw unavailable('Kafka has not acknowledged the change within 5 s. It is kept and will be published.')
  }
}

function gone(workspaceId: string): never {
  throw notFound(`There is no workspace ${workspaceId}.`)
}
