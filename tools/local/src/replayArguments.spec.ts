// What an operator may type after `npm run replay-dead-letters --`.
import { replayArguments } from './replayArguments'

const now = Date.parse('2026-03-01T12:00:00Z')

it('without options everything is listed and nothing changed', () => {
  expect(replayArguments([], now)).toMatchObject({ topic: undefined, since: undefined, confirm: false, again: false, limit: 10_000 })
})

it.each([
  ['2026-02-01T00:00:00Z', Date.parse('2026-02-01T00:00:00Z')],
  ['90m', now - 90 * 60_000],
  ['12h', now - 12 * 3_600_000],
  ['3d', now - 3 * 86_400_000],
])('--since %s is understood', (text, at) => {
  expect(replayArguments(['--since', text], now).since).toBe(at)
})

it.each([
  [['--since', 'yesterday'], /--since yesterday/],
  [['--limit', '0'], /--limit 0/],
  [['--limit', '20000'], /--limit/],
  [['--confrim'], /confrim/],
  [['sends'], /sends/],
])('%j is refused by name', (args, words) => {
  expect(() => replayArguments(args, now)).toThrow(words)
})
