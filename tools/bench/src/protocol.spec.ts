// A peer that says something else than agreed must not become a figure.
import { parseLine } from './protocol'

const result = {
  name: 'naive',
  n: 5_000,
  phases: { start: 900, requested: 800, engaged: 850, timers: 700 },
  sequencesPerSecond: 300,
  latenessMs: null,
  valid: true,
  problems: [],
}

describe('a line of a peer', () => {
  it('is progress, a mark or the result', () => {
    expect(parseLine('{"progress":{"phase":"start","done":12,"of":100}}')).toEqual({ kind: 'progress', phase: 'start', done: 12, of: 100 })
    expect(parseLine('{"phase":"timers","event":"begin"}')).toEqual({ kind: 'mark', phase: 'timers', event: 'begin' })
    expect(parseLine(JSON.stringify({ result }))).toEqual({ kind: 'result', result })
  })

  it('counts as valid only where it says so', () => {
    expect(parseLine(JSON.stringify({ result: { ...result, valid: 'yes' } }))).toMatchObject({ result: { valid: false } })
  })

  it.each([
    ['Listening on 3000', /no JSON object: Listening/],
    ['{"phase":"warm-up","event":"begin"}', /no progress, mark or result/],
    [
      JSON.stringify({ result: { ...result, phases: { start: 900, requested: 800, engaged: 0, timers: null } } }),
      /without a rate for engaged, timers/,
    ],
    [JSON.stringify({ result: { ...result, n: undefined } }), /without n/],
  ])('is refused: %s', (line, words) => {
    expect(() => parseLine(line)).toThrow(words)
  })
})
