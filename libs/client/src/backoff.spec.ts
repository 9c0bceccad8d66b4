// Waiting before trying again.
import { backoffMs, pause } from './backoff'
import { StepcastProblem } from './errors'

it('doubles from half a second to thirty, with full jitter', () => {
  expect([1, 2, 3, 6, 7, 50].map((failures) => backoffMs(failures, null, () => 1))).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000])
  expect(backoffMs(5, null, () => 0)).toBe(0)
})

it('never comes back before the server wants it', () => {
  expect(backoffMs(1, new StepcastProblem(503, '', '', [], 2_000), () => 0)).toBe(2_000)
})

it('a pause ends with its signal', async () => {
  const abort = new AbortController()
  const begun = Date.now()
  setTimeout(() => abort.abort(), 10)
  await pause(60_000, abort.signal)
  await pause(60_000, abort.signal)
  expect(Date.now() - begun).toBeLessThan(5_000)
})
