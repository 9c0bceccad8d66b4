// What the store holds of a partition's log, for services that count anew what the topic has forgotten.
import { Controller, Get, Inject, Query } from '@nestjs/common'
import type { Pool } from 'pg'
import { z } from 'zod'
import type { SequenceChanged } from '@stepcast/contracts'
import { inTransaction } from '@stepcast/postgres'
import { digits, parse, queryInt4, RequireScope, Undescribed } from '@stepcast/service'
import { decodeChange } from './changeCodec'
import { POOL } from './tokens'

const position = digits(0, Number.MAX_SAFE_INTEGER)
const changesQuery = z.strictObject({
  partition: queryInt4(),
  afterPosition: position,
  upToPosition: position.optional(),
  limit: digits(1, 10_000).default(2_000),
})

/** A stretch of a partition's log as the store holds it. */
export interface StoredChanges {
  /** Changes in order of position; what retention has dropped is missing. */
  readonly items: readonly SequenceChanged[]
  /** Everything up to this position was looked at: ask on from here. */
  readonly readTo: number
  /** The first UTC day (YYYY-MM-DD) from which on the store is whole: sequences that started then or later have all their changes; null: it has forgotten nothing. */
  readonly wholeSince: string | null
}

// One answer at most, before JSON makes two or three times as much of it; the record that goes over it is still taken.
const maxBytes = 4 * 1024 * 1024
// Without an end this many positions are looked at: the summaries by blocks then lead to some thousand pages.
const positionsAtOnce = 10_000
const timeoutMs = 30_000

interface Row {
  sequenceId: string
  version: number
  position: number
  data: Buffer
  workspaceId: string
  sendId: string
  userId: string
  templateId: string
  templateVersion: number
  campaignId: string | null
}

/** `GET /internal/changes`. */
@Controller('internal/changes')
@Undescribed()
export class HistoriesController {
  constructor(@Inject(POOL) private readonly pool: Pool) {}

  /** Changes of a partition after a position and up to another, of all workspaces: `limit` of them and 4 MB at most. */
  @Get()
  @RequireScope('internal')
  changes(@Query() query: unknown): Promise<StoredChanges> {
    const { partition, afterPosition, limit, upToPosition = afterPosition + positionsAtOnce } = parse(changesQuery, query)
    return inTransaction(this.pool, async (tx) => {
      // The plan for these very positions, by the summaries of blocks: a day of changes is never read from end to end.
      await tx.query(
        `SET LOCAL statement_timeout = ${timeoutMs}; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off`,
      )
      const { rows: days } = await tx.query<{ since: string | null }>('SELECT (max(started_on) + 1)::text AS since FROM retired_days')
      const { rows } = await tx.query<Row & { isLast: boolean }>(
        `WITH wanted AS (
           SELECT sequence_id, version, position, data, sum(length(data)) OVER (ORDER BY position) - length(data) AS bytes_before
           FROM changes WHERE partition = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4
         )
         SELECT sequence_id AS "sequenceId", version, position, data, workspace_id AS "workspaceId", send_id AS "sendId", user_id AS "userId",
           template_id AS "templateId", template_version AS "templateVersion", campaign_id AS "campaignId",
           position = (SELECT max(position) FROM wanted) AND (SELECT count(*) FROM wanted) < $4 AS "isLast"
         FROM wanted JOIN sequences USING (sequence_id) WHERE bytes_before < $5 ORDER BY position`,
        [partition, afterPosition, upToPosition, limit, maxBytes],
      )
      const last = rows.at(-1)
      return {
        items: rows.map((row) => changeOf(row, partition)),
        readTo: last === undefined || last.isLast ? upToPosition : last.position,
        wholeSince: days[0]!.since,
      }
    })
  }
}

function changeOf(
  { data, position, sequenceId, version, workspaceId, sendId, userId, templateId, templateVersion, campaignId }: Row,
  logPartition: number,
): SequenceChanged {
  const { recordedAt, events } = decodeChange(data)
  return {
    workspaceId,
    sequenceId,
    version,
    logPartition,
    logPosition: position,
    sendId,
    userId,
    templateId,
    templateVersion,
    campaignId,
    recordedAt,
    events: events as SequenceChanged['events'],
  }
}
