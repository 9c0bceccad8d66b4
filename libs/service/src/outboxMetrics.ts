// What a service tells Prometheus of its outbox.
import type { Pool } from 'pg'
import type { Registry } from 'prom-client'
import { gaugeAtScrape } from './metrics'

/** Registers the number of records that wait for Kafka. A few while writes are under way; growing while Kafka is away. */
export function outboxMetrics(registry: Registry, pool: Pool): void {
  gaugeAtScrape(
    registry,
    { name: 'stepcast_outbox_records', help: 'Records in the outbox: committed here, not acknowledged by Kafka yet.' },
    async () => {
      // A row holds one record, or an array of several.
      const { rows } = await pool.query<{ count: number }>(
        `SELECT coalesce(sum(CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value) ELSE 1 END), 0)::int AS count FROM outbox`,
      )
      return [{ value: rows[0]!.count }]
    },
  )
}
