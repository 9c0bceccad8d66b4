// Gives a workspace of a spec its provider accounts, as the gateway would: sealed, on the topic.
import { AccountSeal, encryptionSecretOf, hintOf, providerNames, type AccountOf } from '@stepcast/accounts'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

/** What a workspace says besides its accounts. */
interface MoreSettings {
  readonly resendUnknown?: { readonly sms?: boolean; readonly kakao?: boolean }
}

/**
 * Writes the workspace with exactly these accounts.
 * @param env of the dispatcher that shall open them
 */
export async function giveAccounts(
  connection: KafkaConnection,
  env: Readonly<Record<string, string | undefined>>,
  workspaceId: string,
  accounts: Partial<AccountOf>,
  more: MoreSettings = {},
): Promise<void> {
  const seal = new AccountSeal(encryptionSecretOf(env))
  const updatedAt = new Date().toISOString()
  const providers = Object.fromEntries(
    providerNames.flatMap((name) => {
      const account = accounts[name]
      if (account === undefined) return []
      return [[name, { sealed: seal.close(workspaceId, name, account), account: hintOf(name, account), updatedAt }]]
    }),
  )
  const settings = JSON.stringify({ name: workspaceId, timezone: 'UTC', currency: 'USD', ...more, providers })
  const value = { workspaceId, settings, updatedAt: Date.now() }
  await (await connection.producer()).send(topics.workspaces, [{ key: workspaceId, value }])
}
