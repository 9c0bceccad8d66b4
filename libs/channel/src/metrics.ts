// What a dispatcher tells Prometheus: what waits, what is under way, where breakers are open, what nobody knows the outcome of.
import type { Pool } from 'pg'
import type { Registry } from 'prom-client'
import type { ChannelType } from '@stepcast/contracts'
import { gaugeAtScrape } from '@stepcast/service'
import type { Dispatch } from './dispatch'

/** Registers the numbers of a dispatcher and its ledger; those of the ledger are the same in every process of the service. */
export function dispatchMetrics<C extends ChannelType>(registry: Registry, pool: Pool, dispatch: Dispatch<C>): void {
  const labelNames = ['provider']
  // Both gauges of what waits are read at the same time: one look does for both.
  let looking: Promise<readonly Waiting[]> | null = null
  const look = (): Promise<readonly Waiting[]> => (looking ??= waiting(pool).finally(() => (looking = null)))
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
    async () => (await look()).map(({ provider, targets }) => ({ labels: { provider }, value: targets })),
  )
  gaugeAtScrape(
    registry,
    { name: 'stepcast_dispatch_queue_oldest_seconds', help: 'Since the target that has waited longest was due; 0: none is.', labelNames },
    async () => (await look()).map(({ provider, oldestS }) => ({ labels: { provider }, value: Math.max(0, oldestS) })),
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

interface Waiting {
  readonly provider: string
  readonly targets: number
  readonly oldestS: number
}

// The partial index of what is due answers it: 68,000 targets take some 40 ms, a million half a second.
async function waiting(pool: Pool): Promise<readonly Waiting[]> {
  const { rows } = await pool.query<Waiting>(
    `SELECT provider, count(*)::int AS targets, extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS "oldestS"
     FROM ledger WHERE due_at IS NOT NULL GROUP BY provider`,
  )
  return rows
}
