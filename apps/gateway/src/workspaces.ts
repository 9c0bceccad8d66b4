// Workspaces: made with the root key, changed by their admins, told to every service by a topic.
import { topics, workspaceIdPattern } from '@stepcast/contracts'
import { enqueue } from '@stepcast/postgres'
import { currentTraceparent } from '@stepcast/service'
import type { Pool, PoolClient } from 'pg'
import { z } from 'zod'

const currencies = new Set(Intl.supportedValuesOf('currency'))

function isTimezone(name: string): boolean {
  // Intl takes offsets such as +09:00 too; quiet hours need a place, whose offset changes.
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const name = z.string().trim().min(1).max(200)
const timezone = z.string().refine(isTimezone, 'must be an IANA time zone such as Asia/Seoul')
const currency = z.string().refine((code) => currencies.has(code), 'must be an ISO 4217 currency such as USD')

/** What `POST /v1/workspaces` takes; the name is the id unless given. */
export const newWorkspace = z.strictObject({
  workspaceId: z.string().regex(workspaceIdPattern),
  name: name.optional(),
  timezone: timezone.default('UTC'),
  currency: currency.default('USD'),
})

/**
 * What `PUT /v1/workspace` takes: what is left out stays. Members of the answer that cannot be changed are ignored, so it can be sent
 * back edited.
 */
export const workspaceChange = z.strictObject({
  name: name.optional(), timezone: timezone.optional(), currency: currency.optional(),
  workspaceId: z.unknown().optional(), createdAt: z.unknown().optional(), updatedAt: z.unknown().optional(),
}).transform(({ name, timezone, currency }) => ({ name, timezone, currency }))

/** A workspace as answered. */
export const workspace = z.object({
  workspaceId: z.string(), name: z.string(), timezone: z.string().describe('IANA'), currency: z.string().describe('ISO 4217'),
  createdAt: z.iso.datetime(), updatedAt: z.iso.datetime(),
})
export type Workspace = z.output<typeof workspace>
type Settings = Pick<Workspace, 'name' | 'timezone' | 'currency'>

interface WorkspaceRow { workspace_id: string; settings: Settings; created_at: Date; updated_at: Date }

const answerOf = ({ workspace_id, settings: { name, timezone, currency }, created_at, updated_at }: WorkspaceRow): Workspace =>
  ({ workspaceId: workspace_id, name, timezone, currency, createdAt: created_at.toISOString(), updatedAt: updated_at.toISOString() })

const columns = 'workspace_id, settings, created_at, updated_at'

/** Makes a workspace; null when it exists. */
export async function makeWorkspace(
  tx: PoolClient,
  { workspaceId, name = workspaceId, timezone, currency }: z.output<typeof newWorkspace>,
): Promise<Workspace | null> {
  const { rows: [row] } = await tx.query<WorkspaceRow>(
    `INSERT INTO workspaces (workspace_id, settings) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING ${columns}`,
    [workspaceId, JSON.stringify({ name, timezone, currency })])
  return row === undefined ? null : answerOf(row)
}

/** Changes the settings given; null when there is no such workspace. */
export async function changeWorkspace(
  tx: PoolClient,
  workspaceId: string,
  change: z.output<typeof workspaceChange>,
): Promise<Workspace | null> {
  const { rows: [row] } = await tx.query<WorkspaceRow>(
    `UPDATE workspaces SET settings = settings || $2, updated_at = now() WHERE workspace_id = $1 RETURNING ${columns}`,
    [workspaceId, JSON.stringify(change)])
  return row === undefined ? null : answerOf(row)
}

/** Reads a workspace; null when there is none. */
export async function readWorkspace(pool: Pool, workspaceId: string): Promise<Workspace | null> {
  const { rows: [row] } = await pool.query<WorkspaceRow>(`SELECT ${columns} FROM workspaces WHERE workspace_id = $1`, [workspaceId])
  return row === undefined ? null : answerOf(row)
}

/** Puts `WorkspaceChanged` into the outbox of the transaction that changed it; answers its ids. */
export const tellWorkspace = (tx: PoolClient, { workspaceId, name, timezone, currency, updatedAt }: Workspace): Promise<number[]> =>
  enqueue(tx, [{
    topic: topics.workspaces, key: workspaceId, traceparent: currentTraceparent() ?? null,
    value: { workspaceId, settings: JSON.stringify({ name, timezone, currency }), updatedAt: Date.parse(updatedAt) },
  }])
