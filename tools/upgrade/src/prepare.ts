// Makes what a load needs: a workspace with accounts at the sandbox, approved templates, people with a phone and a number.
import { connectProviders } from '@stepcast/local'
import { Client, people, templates } from './load'

/** Where to make it. */
export interface Preparing {
  readonly workspaceId: string
  readonly rootKey: string
  /** A gateway that is there now. */
  readonly url: string
  readonly sandboxUrl: string
  /** The gateways that are there at any later moment. */
  readonly gateways: () => readonly string[]
}

const atOnce = 20

/** Makes it, and gives the client of the workspace's backend. */
export async function prepare({ workspaceId, rootKey, url, sandboxUrl, gateways }: Preparing): Promise<Client> {
  const { apiKey } = await new Client(gateways, rootKey).call<{ apiKey: { key: string } }>('POST', '/v1/workspaces', {
    body: { workspaceId },
  })
  await connectProviders({ url, workspaceId, apiKey: apiKey.key, sandboxUrl })
  const client = new Client(gateways, apiKey.key)
  for (const template of templates) {
    const variableSchema = [{ name: 'orderNo', type: 'string', required: true, default: null }]
    await client.call('POST', '/v1/templates', {
      body: { ...template, name: template.templateId, category: 'Transactional', variableSchema },
    })
    await client.call('POST', `/v1/templates/${template.templateId}/approve`)
  }
  for (let from = 0; from < people; from += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, async (_, n) => {
        const userId = `user-${from + n}`
        await client.call('PUT', `/v1/users/${userId}`, { body: { phoneNumber: `+1201555${String(1_000 + from + n)}` } })
        await client.call('PUT', `/v1/users/${userId}/devices/phone`, { body: { platform: 'fcm', token: `phone_${userId}` } })
      }),
    )
  }
  return client
}
