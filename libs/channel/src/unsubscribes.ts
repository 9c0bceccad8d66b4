// Who has told a sender to stop (rule 11): remembered by number and sender until the person says otherwise, and asked before every call.
import { createHmac, hkdfSync } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'
import { inTransaction } from '@stepcast/postgres'
import type { MigrationInterface, QueryRunner } from 'typeorm'
import type { Wish } from './callback'

/** A number that does not want to hear of a sender. */
export interface Unsubscribed {
  readonly workspaceId: string
  readonly sender: string
  /** The number, E.164. */
  readonly address: string
}

/** A provider's word that it refuses a number, and an instant of the database's clock by which it may have decided so, milliseconds. */
export interface RefusedByProvider extends Unsubscribed {
  readonly atMs: number
}

/** As a person sees it. */
export interface UnsubscribedView {
  readonly sender: string
  /** RFC 3339. */
  readonly since: string
}

/**
 * Numbers stand here as keyed hashes: a stop is of the number, so it outlives the erasure of the user who had it, and says of nobody whose it
 * is. `wishes`: what was told within 30 days, so that a call repeated or recorded by somebody counts once.
 */
const unsubscribesTablesSql = `
CREATE TABLE unsubscribes (
  workspace_id text NOT NULL,
  number_hash text NOT NULL,
  sender text NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, number_hash, sender)
);
CREATE TABLE wishes (
  workspace_id text NOT NULL,
  wish_id text NOT NULL,
  number_hash text NOT NULL,
  sender text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('stop', 'start')),
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (workspace_id, wish_id, sender)
);
CREATE INDEX wishes_of_number ON wishes (workspace_id, number_hash, sender, received_at);
CREATE INDEX wishes_by_age ON wishes (received_at);
`

/** For a channel whose people can tell a sender to stop; after the migrations of every paid channel. */
export class Unsubscribes1764900000001 implements MigrationInterface {
  name = 'Unsubscribes1764900000001'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(unsubscribesTablesSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE unsubscribes, wishes')
  }
}

// A provider repeats a call for minutes; a recorded one comes whenever somebody likes. What is lifted wrongly after that the provider refuses.
const wishesKeptDays = 30

/** The memory of one channel, shared by its processes. */
export class Unsubscribes {
  private readonly keys: readonly Buffer[]

  /** @param secrets the secret that numbers are hashed under, then those they were hashed under before */
  constructor(
    private readonly pool: Pool,
    secrets: readonly [string, ...string[]],
  ) {
    this.keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'stepcast unsubscribed numbers', 32)))
  }

  /** Which of these have told their sender to stop, by {@link keyOf}. */
  async among(asked: readonly Unsubscribed[]): Promise<ReadonlySet<string>> {
    if (asked.length === 0) return new Set()
    const names = asked.flatMap((one) => this.hashesOf(one).map((hash) => ({ one, hash })))
    const { rows } = await this.pool.query<{ w: string; h: string; s: string }>({
      name: 'unsubscribed-among',
      text: `SELECT workspace_id AS w, number_hash AS h, sender AS s FROM unsubscribes
             JOIN unnest($1::text[], $2::text[], $3::text[]) AS asked (w, h, s) ON workspace_id = w AND number_hash = h AND sender = s`,
      values: [names.map(({ one }) => one.workspaceId), names.map(({ hash }) => hash), names.map(({ one }) => one.sender)],
    })
    const found = new Set(rows.map(({ w, h, s }) => `${w} ${h} ${s}`))
    const hits = names.filter(({ one, hash }) => found.has(`${one.workspaceId} ${hash} ${one.sender}`))
    // Hashed under a secret that is going: hashed anew, so that nothing is forgotten with it.
    for (const { one, hash } of hits) if (hash !== this.hashOf(one)) await this.hashAnew(one, hash)
    return new Set(hits.map(({ one }) => keyOf(one)))
  }

  /** The senders that a number of a workspace has told to stop. */
  async of(workspaceId: string, address: string): Promise<UnsubscribedView[]> {
    const { rows } = await this.pool.query<{ sender: string; since: Date }>(
      'SELECT sender, min(since) AS since FROM unsubscribes WHERE workspace_id = $1 AND number_hash = ANY($2::text[]) GROUP BY sender ORDER BY sender',
      [workspaceId, this.hashesOf({ workspaceId, address })],
    )
    return rows.map(({ sender, since }) => ({ sender, since: since.toISOString() }))
  }

  /**
   * A provider refuses these numbers: they must have told it. Not remembered where the person has said start since the provider decided,
   * as far as we know. In the caller's transaction.
   */
  async refused(tx: PoolClient, refused: readonly RefusedByProvider[]): Promise<void> {
    await this.lock(tx, refused)
    for (const one of refused) {
      await tx.query(
        `INSERT INTO unsubscribes (workspace_id, number_hash, sender, since) SELECT $1, $2, $3, clock_timestamp()
         WHERE NOT EXISTS (SELECT FROM wishes WHERE workspace_id = $1 AND number_hash = ANY($4::text[]) AND sender = $3 AND kind = 'start'
           AND received_at >= to_timestamp($5::float8 / 1000))
         ON CONFLICT DO NOTHING`,
        [one.workspaceId, this.hashOf(one), one.sender, this.hashesOf(one), one.atMs],
      )
    }
  }

  /** What a person has told a sender of this workspace; told again it changes nothing. */
  async take(workspaceId: string, { kind, id, address, senders }: Wish): Promise<void> {
    const number = { workspaceId, address }
    const told = kind === 'stop' ? [senders[0]] : [...new Set(senders)]
    await inTransaction(this.pool, async (tx) => {
      await this.lock(tx, [number])
      const { rows } = await tx.query<{ sender: string }>(
        `INSERT INTO wishes (workspace_id, wish_id, number_hash, sender, kind) SELECT $1, $2, $3, sender, $4 FROM unnest($5::text[]) AS told (sender)
         ON CONFLICT DO NOTHING RETURNING sender`,
        [workspaceId, id, this.hashOf(number), kind, told],
      )
      const news = rows.map(({ sender }) => sender)
      if (news.length === 0) return
      await (kind === 'stop'
        ? tx.query(
            `INSERT INTO unsubscribes (workspace_id, number_hash, sender, since) SELECT $1, $2, sender, clock_timestamp() FROM unnest($3::text[]) AS told (sender)
             ON CONFLICT DO NOTHING`,
            [workspaceId, this.hashOf(number), news],
          )
        : tx.query('DELETE FROM unsubscribes WHERE workspace_id = $1 AND number_hash = ANY($2::text[]) AND sender = ANY($3::text[])', [
            workspaceId,
            this.hashesOf(number),
            news,
          ]))
      await tx.query(`DELETE FROM wishes WHERE received_at < now() - interval '${wishesKeptDays} days'`)
    })
  }

  private async hashAnew(one: Unsubscribed, hash: string): Promise<void> {
    await inTransaction(this.pool, async (tx) => {
      await this.lock(tx, [one])
      await tx.query(
        `WITH old AS (DELETE FROM unsubscribes WHERE workspace_id = $1 AND number_hash = $2 AND sender = $3 RETURNING since)
         INSERT INTO unsubscribes (workspace_id, number_hash, sender, since) SELECT $1, $4, $3, since FROM old ON CONFLICT DO NOTHING`,
        [one.workspaceId, hash, one.sender, this.hashOf(one)],
      )
    })
  }

  /** What concerns one number is taken one after another: a start that comes while a refusal is being written must find it. */
  private async lock(tx: PoolClient, numbers: readonly Pick<Unsubscribed, 'workspaceId' | 'address'>[]): Promise<void> {
    if (numbers.length === 0) return
    await tx.query(
      `SELECT pg_advisory_xact_lock(number)
       FROM (SELECT DISTINCT hashtextextended(name, 3) AS number FROM unnest($1::text[]) AS name ORDER BY 1) AS numbers`,
      [numbers.map((one) => this.hashOf(one))],
    )
  }

  private hashOf(number: Pick<Unsubscribed, 'workspaceId' | 'address'>): string {
    return this.hashesOf(number)[0]!
  }

  // Of one workspace, so that what two of them know of a number cannot be put together.
  private hashesOf({ workspaceId, address }: Pick<Unsubscribed, 'workspaceId' | 'address'>): string[] {
    return this.keys.map((key) => createHmac('sha256', key).update(`${workspaceId}\n${address}`).digest('base64url'))
  }
}

/** Names a number and a sender in a set. */
export const keyOf = ({ workspaceId, sender, address }: Unsubscribed): string => `${workspaceId} ${address} ${sender}`
