import { countsFrom, type StruckFault } from './recoveryClock'

const fault = (area: string, works: string[], at: number, more: Partial<StruckFault> = {}): StruckFault => ({
  area,
  works,
  at,
  overAt: at,
  recoveredAt: null,
  ...more,
})
const inApp = fault('inapp-dispatcher', ['in_app'], 1_000)
const from = (one: StruckFault, others: StruckFault[], now = 60_000): number => countsFrom(one, others, now, 75_000)

it('counts from its own end', () => {
  expect(from(inApp, [])).toBe(1_000)
  expect(from({ ...inApp, overAt: 5_000 }, [])).toBe(5_000)
  expect(from({ ...inApp, overAt: null }, [])).toBe(60_000)
})

it('begins anew when something strikes that it is judged by, and not for what has nothing to do with it', () => {
  expect(from(inApp, [fault('orchestrator', ['sequences', 'in_app', 'push'], 20_000, { overAt: 33_000 })])).toBe(33_000)
  expect(from(inApp, [fault('kafka', [], 20_000, { overAt: null })])).toBe(60_000)
  expect(from(inApp, [fault('push-dispatcher', ['push'], 20_000), fault('sms-dispatcher', ['sms'], 30_000)])).toBe(1_000)
})

it('waits for earlier faults to be recovered from, which answer for themselves', () => {
  const orchestrator = fault('orchestrator', ['sequences', 'in_app', 'push'], 10_000)
  const reset = fault('push-dispatcher', ['push'], 1_000)
  expect(from(orchestrator, [reset])).toBe(60_000)
  expect(from(orchestrator, [{ ...reset, recoveredAt: 40_000 }])).toBe(40_000)
  // Of two that wait for each other the earlier one's time runs.
  expect(from(reset, [orchestrator])).toBe(10_000)
})

it('whatever follows, it has three times the usual time at most', () => {
  const storm = Array.from({ length: 50 }, (_, n) => fault('orchestrator', ['in_app'], 2_000 + n * 20_000))
  expect(from(inApp, storm, 900_000)).toBe(151_000)
})
