// Workspaces' settings as every service knows them.
import type { Pool, PoolClient } from 'pg'
import { idsProblem, instantProblem, jsonProblem, topics, type Refusal, type WorkspaceChanged } from '@stepcast/contracts'
import type { IncomingRecord } from '@stepcast/kafka'
import { Follower, type Followed, type ReplicaOptions } from './follow'
import { isNewer, updatedAtField } from './updatedAt'

/** The table of the replica; put it into a migration of the service. */
export const workspacesReplicaSql = `
CREATE TABLE workspaces (
  workspace_id text PRIMARY KEY,
  settings jsonb NOT NULL
)`

/** What a workspace has set; fields may be added. */
export interface WorkspaceSettings {
  readonly name?: string
  /** IANA name; UTC when absent. */
  readonly timezone?: string
  /** ISO 4217. */
  readonly currency?: string
  /** Provider accounts by the provider's name; the text opens only by `@stepcast/accounts`. */
  readonly providers?: Readonly<Record<string, { readonly sealed: string; readonly updatedAt: string }>>
  /** Whether attempts of unknown outcome are repeated on a channel where each costs money; no unless told (rule 12). */
  readonly resendUnknown?: { readonly sms?: boolean; readonly kakao?: boolean }
}

/** What the replica tells. */
export interface WorkspacesReplicaOptions extends ReplicaOptions {
  /** Called for workspaces whose timezone is another one now, in the transaction that writes it. Absent: nobody looks. */
  readonly onTimezoneChanged?: (tx: PoolClient, workspaceIds: readonly string[]) => Promise<void>
}

/** Workspaces, read from the service's own table. */
export class WorkspacesReplica {
  private readonly follower: Follower<'WorkspaceChanged'>

  constructor(private readonly options: WorkspacesReplicaOptions) {
    this.follower = new Follower({
      ...options,
      topic: topics.workspaces,
      problem: workspaceProblem,
      newer: isNewer,
      apply: (tx, records) => applyWorkspaces(tx, records, options),
    })
  }

  start(): Promise<void> {
    return this.follower.start()
  }

  stop(): Promise<void> {
    return this.follower.stop()
  }

  /** See {@link Follower.followed}. */
  get followed(): Followed {
    return this.follower.followed
  }

  /** See {@link Follower.caughtUp}. */
  async caughtUp(): Promise<void> {
    await this.follower.caughtUp()
  }

  /** The settings of these workspaces; those unknown are missing. */
  async load(
    workspaceIds: readonly string[],
    on: Pick<Pool | PoolClient, 'query'> = this.options.pool,
  ): Promise<ReadonlyMap<string, WorkspaceSettings>> {
    if (workspaceIds.length === 0) return new Map()
    const { rows } = await on.query<{ workspace_id: string; settings: WorkspaceSettings }>(
      'SELECT workspace_id, settings FROM workspaces WHERE workspace_id = ANY($1::text[])',
      [workspaceIds],
    )
    return new Map(rows.map((row) => [row.workspace_id, row.settings]))
  }
}

function workspaceProblem({ workspaceId, settings, updatedAt }: WorkspaceChanged): Refusal | null {
  const wrong = (field: string, problem: string | null): string | null => (problem === null ? null : `${field} ${problem}`)
  const detail =
    idsProblem({ workspaceId }) ?? wrong('settings', jsonProblem(settings, 'object')) ?? wrong('updatedAt', instantProblem(updatedAt))
  return detail === null ? null : { reason: 'invalid_workspace', detail }
}

async function applyWorkspaces(
  tx: PoolClient,
  records: readonly IncomingRecord<'WorkspaceChanged'>[],
  { onTimezoneChanged }: WorkspacesReplicaOptions,
): Promise<void> {
  const told = records.flatMap(({ value }) => (value ? [value.workspaceId] : []))
  const timezones = async (): Promise<ReadonlyMap<string, string | null>> => {
    const { rows } = await tx.query<{ workspace_id: string; timezone: string | null }>(
      `SELECT workspace_id, settings->>'timezone' AS timezone FROM workspaces WHERE workspace_id = ANY($1::text[])`,
      [told],
    )
    return new Map(rows.map((row) => [row.workspace_id, row.timezone]))
  }
  const before = onTimezoneChanged && (await timezones())
  for (const { value } of records) {
    if (!value) continue
    await tx.query(
      `INSERT INTO workspaces (workspace_id, settings) VALUES ($1, $2::jsonb || jsonb_build_object('${updatedAtField}', $3::bigint))
       ON CONFLICT (workspace_id) DO UPDATE SET settings = excluded.settings
       WHERE coalesce((workspaces.settings->>'${updatedAtField}')::bigint, 0) <= $3`,
      [value.workspaceId, value.settings, value.updatedAt],
    )
  }
  if (before === undefined) return
  const changed = [...(await timezones())]
    .filter(([workspaceId, timezone]) => (before.get(workspaceId) ?? null) !== timezone)
    .map(([workspaceId]) => workspaceId)
  if (changed.length > 0) await onTimezoneChanged!(tx, changed)
}
