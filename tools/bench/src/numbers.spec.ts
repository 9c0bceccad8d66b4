// The figures that people will quote rest on this arithmetic.
import { largest, percentile, perSecond, rate, ratio } from './numbers'

describe('figures', () => {
  it('give the value below which a share of the numbers lies, whatever their order', () => {
    const numbers = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([percentile(numbers, 0.5), percentile(numbers, 0.99), percentile(numbers, 1)]).toEqual([51, 100, 100])
    expect(percentile([7], 0.99)).toBe(7)
  })

  it('are zero where nothing was measured, never infinite', () => {
    expect([percentile([], 0.5), largest([])]).toEqual([0, 0])
    expect(ratio(100, 0)).toBeNull()
  })

  it('compare by a ratio of two digits', () => {
    expect(ratio(2_318, 1_000)).toBe(2.32)
  })

  it('are told as a rate with what it was made of', () => {
    expect(perSecond(20_000, 4_880)).toBe(4_098)
    expect(rate(20_000, 4_880)).toBe('4,098 /s (20,000 in 4.88 s)')
  })
})
