import { ReceiptsBarrier, receiptsPatienceMs, type Barrier } from './receiptsBarrier'

const barrier: Barrier = { from: 100, upTo: 200, endOffset: 50 }
const fires = { from: 100, upTo: 200, note: null }

it('no timer fires before what was reported before it is stored', () => {
  const waiting = new ReceiptsBarrier()
  expect(waiting.firing(1_000, 0)).toBeNull()
  waiting.putUp(barrier, 0)
  expect(waiting.firing(49, 1)).toBeNull()
  expect(waiting.firing(50, 1)).toEqual(fires)
  expect(waiting.isUp).toBe(true)
  waiting.takeDown()
  expect([waiting.isUp, waiting.upTo, waiting.firing(50, 1)]).toEqual([false, 0, null])
})

it('patience is for standing still, not for a long way', () => {
  const waiting = new ReceiptsBarrier()
  waiting.putUp(barrier, 0)
  expect(waiting.firing(10, receiptsPatienceMs - 1)).toBeNull()
  waiting.progressed(receiptsPatienceMs - 1)
  expect(waiting.firing(20, 2 * receiptsPatienceMs - 2)).toBeNull()
  expect(waiting.firing(20, 2 * receiptsPatienceMs - 1)).toEqual({ ...fires, note: 'receipts_behind' })
})

it('what is found due while timers wait does not move the barrier away from them', () => {
  const waiting = new ReceiptsBarrier()
  waiting.putUp(barrier, 0)
  waiting.putUp({ from: 200, upTo: 900, endOffset: 5_000 }, 10)
  expect(waiting.upTo).toBe(200)
  expect(waiting.firing(50, 11)).toEqual(fires)
})
