// CPU is added up over parts that come and go: a contestant with a Redis has one more.
import { cpuBetween, cpuSum, spentPer1000 } from './servers'

describe('CPU seconds', () => {
  it('are what was used between two looks, part by part', () => {
    expect(cpuBetween({ postgres: 10, broker: 4 }, { postgres: 12.5, broker: 4, redis: 1 })).toEqual({ postgres: 2.5, broker: 0, redis: 1 })
  })

  it('are added over phases', () => {
    expect(cpuSum({ postgres: 1 }, { postgres: 2, redis: 3 })).toEqual({ postgres: 3, redis: 3 })
  })

  it('are told per 1,000 sequences with their total', () => {
    expect(spentPer1000({ program: 2, postgres: 1 }, 10_000)).toEqual({ program: 0.2, postgres: 0.1, total: 0.3 })
  })
})
