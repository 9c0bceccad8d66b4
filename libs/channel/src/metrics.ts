// What a dispatcher tells Prometheus: what waits, what is under way, where breakers are open, what nobody knows the outcome of.
import type { Pool } from 'pg'
import type { Registry } from 'prom-client'
import type { ChannelType } from '@stepcast/contracts'
import { gaugeAtScrape } from '@stepcast/service'
import type { Dispatch } from './dispatch'

/** Registers the numbers of a dispatcher and its ledger; those of the ledger are the same in every process of the service. */
export function dispatchMetrics<C extends ChannelType>(registry: Registry, pool: Pool, dispatch: Dispatch<C>): void {
  const labelNames = ['provider']
  gaugeAtScrape(
    registry,
    { name: 'stepcast_dispatch_under_way', help: 'Provider calls of this process claimed or under way.', labelNames },
    () => dispatch.standings.map(({ provider, underWay }) => ({ labels: { provider }, value: underWay })),
  )
  gaugeAtScrape(
    registry,
    { name: 'stepcast_open_breakers', help: 'Workspaces whose calls to a provider this process holds back.', labelNames },
    () => dispatch.standings.map(({ provider, openBreakers }) => ({ labels: { provider }, value: openBreakers })),
  )
  gaugeAtScrape(
    registry,
    { name: 'stepcast_dispatch_queue', help: 'Targets in the ledger to be attempted, now or after a wait.', labelNames },
    async () => (await waiting(pool)).map(({ provider, targets }) => ({ labels: { provider }, value: targets })),
  )
  gaugeAtScrape(
    registry,
    { name: 'stepcast_dispatch_queue_oldest_seconds', help: 'Since the target that has waited longest was due; 0: none is.', labelNames },
    async () => (await waiting(pool)).map(({ provider, oldestS }) => ({ labels: { provider }, value: Math.max(0, oldestS) })),
  )
  gaugeAtScrape(
    registry,
    {
      name: 'stepcast_ledger_uncertain',
      help: 'Targets possibly sent to: an attempt ended without an answer, and nobody has resolved it. Kept 30 days.',
      labelNames,
    },
    async () => {
      const { rows } = await pool.query<{ provider: string; targets: number }>(
        'SELECT provider, count(*)::int AS targets FROM ledger WHERE uncertain AND resolved IS NULL GROUP BY provider',
      )
      return rows.map(({ provider, targets }) => ({ labels: { provider }, value: targets }))
    },
  )
}

// The partial index of what is due answers it: a million targets take some 100 ms.
async function waiting(pool: Pool): Promise<{ provider: string; targets: number; oldestS: number }[]> {
  const { rows } = await pool.query<{ provider: string; targets: number; oldestS: number }>(
    `SELECT provider, count(*)::int AS targets, extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS "oldestS"
     FROM ledger WHERE due_at IS NOT NULL GROUP BY provider`,
  )
  return rows
}
