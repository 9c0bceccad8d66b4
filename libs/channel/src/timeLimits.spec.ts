// Time limits: over in time, over together when the process stops, and gone when nobody waits.
import { TimeLimits } from './timeLimits'

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a time limit', () => {
  it('is over in its time, not before', async () => {
    const { signal, end } = new TimeLimits().begin(50)
    expect(signal.aborted).toBe(false)
    await wait(80)
    expect(signal.aborted).toBe(true)
    end()
  })
  it('is over when all are cut, and so is one that begins later', () => {
    const limits = new TimeLimits()
    const [first, second] = [limits.begin(60_000), limits.begin(60_000)]
    limits.cut()
    const late = limits.begin(60_000)
    expect([first, second, late].map(({ signal }) => signal.aborted)).toEqual([true, true, true])
    for (const { end } of [first, second, late]) end()
  })
  it('never comes once nobody waits', async () => {
    const limits = new TimeLimits()
    const { signal, end } = limits.begin(20)
    end()
    await wait(40)
    limits.cut()
    expect(signal.aborted).toBe(false)
  })
})
