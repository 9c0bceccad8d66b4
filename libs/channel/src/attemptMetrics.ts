// Attempts for Prometheus: how many, how they ended, how long they took.
import { Counter, Histogram, type Registry } from 'prom-client'
import type { Outcome } from './provider'

/** Answers the function that counts one attempt. */
export function attemptMetrics(registry: Registry): (provider: string, outcome: Outcome['kind'], seconds: number) => void {
  const registers = [registry]
  const attempts = new Counter({
    name: 'stepcast_dispatch_attempts_total',
    help: 'Provider calls by how they ended.',
    labelNames: ['provider', 'outcome'],
    registers,
  })
  const seconds = new Histogram({
    name: 'stepcast_dispatch_attempt_seconds',
    help: 'How long provider calls took.',
    labelNames: ['provider'],
    buckets: [0.01, 0.05, 0.2, 1, 5, 10],
    registers,
  })
  return (provider, outcome, took) => {
    attempts.inc({ provider, outcome })
    seconds.observe({ provider }, took)
  }
}
