// Workspaces: made with the root key, changed by their admins, told to every service by a topic.
import type { ProviderName, SealedAccount } from '@stepcast/accounts'
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
export const workspaceChange = z
  .strictObject({
    name: name.optional(),
    timezone: timezone.optional(),
    currency: currency.optional(),
    resendUnknown: z.strictObject({ sms: z.boolean().optional(), kakao: z.boolean().optional() }).optional(),
    workspaceId: z.unknown().optional(),
    createdAt: z.unknown().optional(),
    updatedAt: z.unknown().optional(),
  })
  .transform(({ name, timezone, currency, resendUnknown }) => ({ name, timezone, currency, resendUnknown }))

/** A workspace as answered. */
export const workspace = z.object({
  workspaceId: z.string(),
  name: z.string(),
  timezone: z.string().describe('IANA'),
  currency: z.string().describe('ISO 4217'),
  resendUnknown: z
    .object({ sms: z.boolean(), kakao: z.boolean() })
    .describe('whether a paid message is sent once more when nobody knows whether it went out; no unless told'),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})
export type Workspace = z.output<typeof workspace>
/** As stored, and as told on the topic. */
interface Settings extends Pick<Workspace, 'name' | 'timezone' | 'currency'> {
  /** Absent in workspaces made before it could be said. */
  readonly resendUnknown?: Workspace['resendUnknown']
  readonly providers?: Readonly<Partial<Record<ProviderName, SealedAccount>>>
}

interface WorkspaceRow {
  workspace_id: string
  settings: Settings
  created_at: Date
  updated_at: Date
}

const neverResent = { sms: false, kakao: false }

// Field by field: accounts are part of the settings and of no answer.
const answerOf = ({ workspace_id, settings, created_at, updated_at }: WorkspaceRow): Workspace => ({
  workspaceId: workspace_id,
  name: settings.name,
  timezone: settings.timezone,
  currency: settings.currency,
  resendUnknown: { ...neverResent, ...settings.resendUnknown },
  createdAt: created_at.toISOString(),
  updatedAt: updated_at.toISOString(),
})

const columns = 'workspace_id, settings, created_at, updated_at'

/** Makes a workspace; null when it exists. */
export async function makeWorkspace(
  tx: PoolClient,
  { workspaceId, name = workspaceId, timezone, currency }: z.output<typeof newWorkspace>,
): Promise<Workspace | null> {
  const {
    rows: [row],
  } = await tx.query<WorkspaceRow>(
    `INSERT INTO workspaces (workspace_id, settings) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING ${columns}`,
    [workspaceId, JSON.stringify({ name, timezone, currency })],
  )
  return row === undefined ? null : answerOf(row)
}

/** Changes the settings given; null when there is no such workspace. */
export async function changeWorkspace(
  tx: PoolClient,
  workspaceId: string,
  { name, timezone, currency, resendUnknown }: z.output<typeof workspaceChange>,
): Promise<Workspace | null> {
  const {
    rows: [row],
  } = await tx.query<WorkspaceRow>(
    `UPDATE workspaces SET updated_at = greatest(clock_timestamp(), updated_at),
       settings = settings || $2 || jsonb_build_object('resendUnknown', coalesce(settings->'resendUnknown', '{}') || $3)
     WHERE workspace_id = $1 RETURNING ${columns}`,
    [workspaceId, JSON.stringify({ name, timezone, currency }), JSON.stringify(resendUnknown ?? {})],
  )
  return row === undefined ? null : answerOf(row)
}

/** Reads a workspace; null when there is none. */
export async function readWorkspace(pool: Pool, workspaceId: string): Promise<Workspace | null> {
  const {
    rows: [row],
  } = await pool.query<WorkspaceRow>(`SELECT ${columns} FROM workspaces WHERE workspace_id = $1`, [workspaceId])
  return row === undefined ? null : answerOf(row)
}

/**
 * Gives or takes away (null) a provider account; false when there is no such workspace. Its row stays locked until the transaction ends, so
 * that what is told of it is in order.
 */
export async function writeAccount(
  tx: PoolClient,
  workspaceId: string,
  provider: ProviderName,
  account: SealedAccount | null,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE workspaces SET updated_at = greatest(clock_timestamp(), updated_at), settings = settings || jsonb_build_object('providers', CASE
       WHEN $3::jsonb IS NULL THEN coalesce(settings->'providers', '{}') - $2::text
       ELSE coalesce(settings->'providers', '{}') || jsonb_build_object($2::text, $3::jsonb) END)
     WHERE workspace_id = $1`,
    [workspaceId, provider, account && JSON.stringify(account)],
  )
  return rowCount === 1
}

/** The accounts of a workspace, sealed as they are; null when there is no such workspace. */
export async function readAccounts(pool: Pool, workspaceId: string): Promise<NonNullable<Settings['providers']> | null> {
  const {
    rows: [row],
  } = await pool.query<Pick<WorkspaceRow, 'settings'>>('SELECT settings FROM workspaces WHERE workspace_id = $1', [workspaceId])
  return row === undefined ? null : (row.settings.providers ?? {})
}

/** Puts `WorkspaceChanged` into the outbox of the transaction that changed it, accounts sealed; answers its ids. */
export async function tellWorkspace(tx: PoolClient, workspaceId: string): Promise<number[]> {
  const {
    rows: [row],
  } = await tx.query<WorkspaceRow>(`SELECT ${columns} FROM workspaces WHERE workspace_id = $1`, [workspaceId])
  const { settings, updated_at } = row!
  return enqueue(tx, [
    {
      topic: topics.workspaces,
      key: workspaceId,
      traceparent: currentTraceparent() ?? null,
      value: { workspaceId, settings: JSON.stringify(settings), updatedAt: updated_at.getTime() },
    },
  ])
}
