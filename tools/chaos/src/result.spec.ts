// What the report says of a run, and when a run proves nothing.
import type { Judgement } from './judge'
import { latenessOf, resultLines, resultOf, type FaultDone, type Played } from './result'

const begin = 1_700_000_000_000

const fault = (kind: string, afterMs: number, inFlight = 50, recoveredAfterMs: number | null = 4_000): FaultDone => ({
  kind,
  victim: kind,
  at: begin + afterMs,
  inFlight,
  recoveredAfterMs,
})

const elapsed = (dueAfterMs: number, lateMs: number) => ({
  sequenceId: 's',
  workspaceId: 'demo',
  step: 1,
  dueAt: begin + dueAfterMs,
  fireableAt: begin + dueAfterMs,
  recordedAt: begin + dueAfterMs + lateMs,
  note: null,
})

const judgement: Judgement = { breaches: [], elapsed: [], sequences: 1, arrivedAgain: 0, inFlight: 0 }

const played = (change: Partial<Played> = {}): Played => ({
  seed: 1,
  seconds: 60,
  planned: 2,
  workspaceId: 'demo',
  judgement,
  isDrained: true,
  problems: [],
  faults: [fault('kill -9 broker', 10_000), fault('kill -9 broker', 30_000, 50, 9_000)],
  history: {
    asked: new Set(),
    accepted: [],
    receipts: [],
    cancels: [],
    optOuts: [],
    poison: [],
    arrivals: [],
    sends: [],
    changes: [],
    commands: [],
    deadLetters: [],
    unknown: [],
    final: null,
  },
  ...change,
})

describe('the result', () => {
  it('counts faults by kind and names the slowest recovery', () => {
    expect(resultOf(played())).toMatchObject({
      faults: { 'kill -9 broker': 2 },
      slowestRecoveryMs: 9_000,
      slowestRecoveryOf: 'kill -9 broker',
      void: [],
    })
    expect(resultLines(resultOf(played())).at(-1)).toBe('KEPT: no promise was broken')
  })

  it('tells timers that a fault made late from the others', () => {
    const calm = [elapsed(1_000, 5), elapsed(50_000, 7), { ...elapsed(50_000, 900), workspaceId: 'noisy' }]
    const faulted = [elapsed(9_000, 3_000), elapsed(12_000, 20), elapsed(40_500, 30)]
    const result = resultOf(played({ judgement: { ...judgement, elapsed: [...calm, ...faulted] } }))
    expect(result.latenessCalm).toEqual({ count: 2, p50: 7, p99: 7, max: 7 })
    expect(result.latenessFaulted).toEqual({ count: 3, p50: 30, p99: 3_000, max: 3_000 })
    expect(latenessOf([])).toBeNull()
  })

  it('is void when a fault did not strike, struck an idle product, or something did not drain', () => {
    expect(resultOf(played({ planned: 3 })).void).toEqual(['only 2 of 3 faults struck'])
    expect(resultOf(played({ planned: 1, faults: [fault('kill -9 gateway', 0, 9)] })).void).toEqual([
      'kill -9 gateway struck with 9 sequences in flight',
    ])
    expect(resultOf(played({ isDrained: false })).void).toEqual(['it did not drain'])
    expect(resultOf(played({ problems: ['POST /v1/sends: 422'] })).void).toEqual(['POST /v1/sends: 422'])
  })

  it('is broken, not void, when a promise was', () => {
    const breaches = [{ promise: 'no accepted send is lost', what: 'accepted and never started', sequenceId: 's' }]
    const result = resultOf(played({ isDrained: false, judgement: { ...judgement, breaches } }))
    expect(result).toMatchObject({ lost: 1, void: [] })
    expect(resultLines(result).at(-1)).toBe('BROKEN: 1 breaches')
  })
})
