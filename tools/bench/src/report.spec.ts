// The table must not flatter: a run with wrong counts has no ratio, and what was not measured is not met.
import { contestantsTable, judge, ratiosOf } from './report'
import type { Result } from './result'

const stepcast: Result = {
  name: 'stepcast',
  n: 60_000,
  sequencesPerSecond: 4_000,
  phases: { start: 9_000, requested: 12_000, engaged: 12_000, timers: 9_000 },
  cpuSecondsPer1000: { orchestrator: 0.1, postgres: 0.06, broker: 0.04, total: 0.2 },
  bytesPerSequence: 790,
  latenessMs: { p50: 4, p99: 50, max: 60 },
  latencyMs: null,
  valid: true,
  problems: [],
}
const peer = (name: string, sequencesPerSecond: number, valid = true): Result => ({
  ...stepcast,
  name,
  sequencesPerSecond,
  valid,
  bytesPerSequence: 2_500,
})

describe('ratios', () => {
  it('say how many times as fast Stepcast is', () => {
    expect(ratiosOf(stepcast, [peer('naive', 500), peer('limit', 8_000)])).toEqual({ naive: 8, limit: 0.5 })
  })

  it('are not drawn from a run whose counts were wrong', () => {
    expect(ratiosOf(stepcast, [peer('naive', 500, false)])).toEqual({})
    expect(ratiosOf({ ...stepcast, valid: false }, [peer('naive', 500)])).toEqual({})
  })
})

describe('targets', () => {
  const verdicts = (ratios: Record<string, number>): Record<string, string> =>
    Object.fromEntries(judge(stepcast, ratios).map(({ what, verdict }) => [what, verdict]))

  it('are met at the bound itself, and their goals likewise', () => {
    expect(verdicts({ limit: 0.5, naive: 11, dbos: 19.99, 'bullmq per-step': 0.9 })).toEqual({
      'sequences/s against limit': 'met',
      'sequences/s against naive': 'goal met',
      'sequences/s against dbos': 'not met',
      'sequences/s against bullmq per-step': 'met',
      'CPU per 1,000 sequences': 'met',
      'bytes per sequence': 'goal met',
      'timer lateness p99': 'met',
      'latency p99 at half the peak': 'not measured',
    })
  })

  it('are not met by what was not measured', () => {
    expect(verdicts({})['sequences/s against limit']).toBe('not measured')
  })
})

describe('the table', () => {
  it('shows every contestant, what is Redis memory, and a run that was wrong', () => {
    const shown = contestantsTable(
      [stepcast, { ...peer('bullmq bulk', 12_000), bytesIn: 'Redis, memory at its peak' }, peer('naive', 500, false)],
      { 'bullmq bulk': 0.33 },
    )
    expect(shown).toMatch(/stepcast +60,000 .* 790 +50 +yes/)
    expect(shown).toMatch(/bullmq bulk .*0\.33× .*2,500\* .*yes/)
    expect(shown).toMatch(/naive .* NO/)
    expect(shown).toMatch(/\* bullmq bulk: Redis, memory at its peak/)
  })
})
