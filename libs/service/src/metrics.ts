// Numbers for Prometheus: the process and its HTTP requests. Read when scraped, so an idle service has no timer for them.
import { performance } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export { Registry }

/** The registry of one service; add counters of your own with `registers: [registry]`. Class, so it is its own injection token. */
export function createMetrics(service: string): {
  registry: Registry
  observeRequest: (method: string, route: string, status: number, seconds: number) => void
} {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  processMetrics(registry)
  const requests = new Histogram({
    name: 'stepcast_http_request_seconds',
    help: 'HTTP requests by route pattern and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  })
  return { registry, observeRequest: (method, route, status, seconds) => requests.observe({ method, route, status }, seconds) }
}

/** One number of a gauge with its labels. */
export interface Reading {
  readonly labels?: Readonly<Record<string, string | number>>
  readonly value: number
}

// Prometheus gives a scrape 10 s; what hangs (a broker that is away) must not cost the rest of the numbers.
const readWithinMs = 2_000

/**
 * A gauge that is read when it is scraped, and never in between. What cannot be read within 2 s is left out of that scrape:
 * no number is better than an old one.
 */
export function gaugeAtScrape(
  registry: Registry,
  { name, help, labelNames = [] }: { name: string; help: string; labelNames?: readonly string[] },
  read: () => Promise<readonly Reading[]> | readonly Reading[],
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<readonly Reading[]>((resolve) => (timer = setTimeout(resolve, readWithinMs, [])))
      const readings = await Promise.race([
        Promise.resolve()
          .then(read)
          .catch(() => []),
        late,
      ])
      clearTimeout(timer)
      this.reset()
      // Without labels, reset() leaves a zero that nobody has read.
      if (readings.length === 0 && labelNames.length === 0) this.remove()
      for (const { labels = {}, value } of readings) this.set(labels, value)
    },
  })
}

// prom-client's own defaults watch the event loop by a timer of 10 ms; these cost nothing between scrapes.
function processMetrics(registry: Registry): void {
  const registers = [registry]
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time used.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'Heap in use.',
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed)
    },
  })
  new Gauge({ name: 'process_start_time_seconds', help: 'Start of the process, Unix time.', registers }).set(
    Math.round(performance.timeOrigin / 1_000),
  )
  let before = performance.eventLoopUtilization()
  new Gauge({
    name: 'nodejs_eventloop_utilization',
    help: 'Share of time the event loop was busy since the last scrape, 0 to 1.',
    registers,
    collect() {
      const now = performance.eventLoopUtilization()
      this.set(performance.eventLoopUtilization(now, before).utilization)
      before = now
    },
  })
}
