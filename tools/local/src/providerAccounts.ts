// Provider accounts against the sandbox: the demo workspace's, kept with its data, and those of workspaces in demos, specs and chaos.
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { providerNames, type AccountOf } from '@stepcast/accounts'
import { writePrivately } from './secrets'

const answerMs = 30_000
const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

/** Fresh accounts in the form of real ones, which only the sandbox takes. Takes 0.1 s: FCM's key has 2,048 bits as Google's. */
export function sandboxAccounts(): AccountOf {
  return {
    fcm: {
      serviceAccount: {
        project_id: 'stepcast-local',
        client_email: 'stepcast@stepcast-local.iam.gserviceaccount.com',
        private_key: pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
      },
    },
    apns: {
      // The form is Apple's: ten characters A-Z and 0-9.
      teamId: `T${hex(5).toUpperCase().slice(1)}`,
      keyId: `K${hex(5).toUpperCase().slice(1)}`,
      privateKey: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      topic: 'com.example.stepcast',
      environment: 'development',
    },
    twilio: { accountSid: `AC${hex(16)}`, authToken: hex(16), from: '+15005550006' },
    solapi: { apiKey: `NCS${hex(7).toUpperCase().slice(1)}`, apiSecret: hex(16), webhookSecret: hex(16) },
  }
}

/** The accounts of a data directory's demo workspace: made once. */
export function keptAccounts(home: string): AccountOf {
  const file = join(home, 'secrets', 'provider-accounts.json')
  if (!existsSync(file)) writePrivately(file, `${JSON.stringify(sandboxAccounts(), null, 2)}\n`)
  return JSON.parse(readFileSync(file, 'utf8')) as AccountOf
}

/** A workspace that shall send through the sandbox. */
export interface Connecting {
  /** The gateway. */
  readonly url: string
  readonly workspaceId: string
  /** With scope admin. */
  readonly apiKey: string
  readonly sandboxUrl: string
  /** Where providers call back: the product's public address; `url` unless given. */
  readonly publicUrl?: string
  /** Fresh ones unless given. */
  readonly accounts?: AccountOf
}

/**
 * Gives a workspace an account of every provider that it has none of yet, and makes the sandbox know what it must: the secrets by which
 * it checks requests and signs callbacks. The sandbox forgets them when it ends, so this is repeated at each start.
 *
 * @throws Error with the answer when gateway or sandbox refuses
 */
export async function connectProviders({
  url,
  workspaceId,
  apiKey,
  sandboxUrl,
  publicUrl = url,
  accounts = sandboxAccounts(),
}: Connecting): Promise<void> {
  const key = { authorization: `Bearer ${apiKey}` }
  const { items } = (await (await ask('GET', `${url}/v1/workspace/providers`, undefined, key)).json()) as { items: { provider: string }[] }
  const missing = providerNames.filter((name) => !items.some(({ provider }) => provider === name))
  await Promise.all(missing.map((name) => ask('PUT', `${url}/v1/workspace/providers/${name}`, accounts[name], key)))
  const { twilio, solapi } = accounts
  await Promise.all([
    ask('POST', `${sandboxUrl}/accounts`, { provider: 'twilio', accountSid: twilio.accountSid, authToken: twilio.authToken }),
    ask('POST', `${sandboxUrl}/accounts`, { provider: 'solapi', apiKey: solapi.apiKey, apiSecret: solapi.apiSecret }),
    ask('POST', `${sandboxUrl}/solapi/webhooks`, {
      apiKey: solapi.apiKey,
      url: `${publicUrl}/v1/callbacks/solapi/${workspaceId}`,
      secret: solapi.webhookSecret,
    }),
  ])
}

async function ask(method: string, url: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const answer = await fetch(url, {
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(answerMs),
  })
  if (!answer.ok) throw new Error(`${method} ${new URL(url).pathname} was answered ${answer.status} ${await answer.text()}`)
  return answer
}
