// The workspace `demo`: made through the gateway at the first start, its keys kept because they are shown only once.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePrivately } from './secrets'

/** The demo workspace's keys. */
export interface DemoWorkspace {
  readonly workspaceId: string
  /** An API key with the scopes admin, send and read. */
  readonly apiKey: string
  /** Signs user tokens: the `kid` of their header and the HS256 secret. */
  readonly signingKid: string
  readonly signingSecret: string
}

const workspaceId = 'demo'

interface WorkspaceMade {
  readonly workspaceId: string
  readonly apiKey: { readonly key: string }
  readonly signingKey: { readonly kid: string; readonly secret: string }
}

/**
 * Makes the demo workspace unless it exists.
 *
 * @returns null when it exists and its keys are not in this data directory: nobody can show them again
 * @throws Error with the gateway's answer when it refuses
 */
export async function ensureDemoWorkspace(home: string, url: string, rootKey: string): Promise<DemoWorkspace | null> {
  const file = join(home, 'secrets', 'demo-workspace.json')
  const answer = await fetch(`${url}/v1/workspaces`, {
    method: 'POST',
    headers: { authorization: `Bearer ${rootKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ workspaceId, name: 'Demo' }),
    signal: AbortSignal.timeout(30_000),
  })
  if (answer.status === 409) return readKeys(file)
  if (answer.status !== 201) throw new Error(`The demo workspace could not be made: ${answer.status} ${await answer.text()}`)
  const made = (await answer.json()) as WorkspaceMade
  const demo: DemoWorkspace = {
    workspaceId: made.workspaceId,
    apiKey: made.apiKey.key,
    signingKid: made.signingKey.kid,
    signingSecret: made.signingKey.secret,
  }
  writePrivately(file, `${JSON.stringify(demo, null, 2)}\n`)
  return demo
}

/**
 * Lets the sandbox's phones report for the demo workspace, as an app on each of them would: simulated ones by themselves, others when told.
 * The signing key is for the feed that the sandbox's page shows.
 */
export async function registerPhones(sandboxUrl: string, { workspaceId: workspace, ...keys }: DemoWorkspace): Promise<void> {
  const answer = await fetch(`${sandboxUrl}/phones`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ workspaceId: workspace, ...keys }),
    signal: AbortSignal.timeout(30_000),
  })
  if (!answer.ok) throw new Error(`The sandbox's phones could not be registered: ${answer.status} ${await answer.text()}`)
}

function readKeys(file: string): DemoWorkspace | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as DemoWorkspace
  } catch {
    return null
  }
}
