// The verdict: each rule of it can fail.
import type { Letter } from './letters'
import type { Expected, Shot } from './mutate'
import { judge, sortLetters, type Fired, type Outcome } from './verdict'

const sends = 'stepcast.sends.v1'

const fired = (id: string, expected: Expected, more: Partial<Shot> = {}, offset = Number(id)): Fired => ({
  shot: {
    id,
    kind: 'bytes/flip',
    topic: sends,
    partition: 0,
    records: [{ key: null, value: Buffer.from('x'), headers: [] }],
    front: {},
    transaction: null,
    expected,
    starts: [],
    neverStarts: [],
    ...more,
  },
  error: 0,
  offset,
})

const letter = (id: string | null, place: string, holds = ''): Letter => ({
  partition: 0,
  offset: 7,
  place,
  reason: 'not_avro',
  detail: '',
  id,
  holds: (text) => holds === text,
})

const outcome = (parts: Partial<Outcome>): Outcome => ({
  fired: [],
  letters: [],
  readersOf: () => 1,
  ownLetters: new Set(),
  started: new Set(),
  ...parts,
})
const whats = (parts: Partial<Outcome>): string[] => judge(outcome(parts)).map(({ what }) => what)

it('is content with one letter for each record that needs one, and none for those that were used', () => {
  expect(
    whats({ fired: [fired('1', 'letter'), fired('2', 'used'), fired('3', 'either'), fired('4', 'invisible')], letters: [letter('1', '')] }),
  ).toEqual([])
})

it('finds a letter by its coordinates when its headers are gone', () => {
  const one = fired('1', 'letter', {}, 40)
  expect(sortLetters(outcome({ fired: [one], letters: [letter(null, `${sends}/0/40`)] })).byShot.get(one)).toHaveLength(1)
})

it.each<[string, Partial<Outcome>]>([
  ['1 records are neither used nor dead letters', { fired: [fired('1', 'letter')] }],
  [
    '1 records became more dead letters than they have readers',
    { fired: [fired('1', 'letter')], letters: [letter('1', ''), letter('1', '')] },
  ],
  ['1 good or aborted records became dead letters', { fired: [fired('1', 'used')], letters: [letter('1', '')] }],
  ['1 good or aborted records became dead letters', { fired: [fired('1', 'invisible')], letters: [letter('1', '')] }],
  ['1 good sends started nothing', { fired: [fired('1', 'used', { starts: ['s'] })] }],
  ['1 aborted sends started something', { fired: [fired('1', 'invisible', { neverStarts: ['s'] })], started: new Set(['s']) }],
  ['1 records of the neighbour became dead letters', { letters: [letter(null, `${sends}/0/1`, 'neighbour')] }],
  ['1 other records became dead letters more than once', { letters: [letter(null, `${sends}/0/1`), letter(null, `${sends}/0/1`)] }],
])('says that %s', (what, parts) => {
  expect(whats(parts)).toEqual([what])
})

it('asks nothing of what the broker refused, and nothing about letters that were shots themselves', () => {
  expect(whats({ fired: [{ ...fired('1', 'letter', { starts: ['s'] }), error: 10 }] })).toEqual([])
  expect(whats({ letters: [letter(null, 'x', 'neighbour')], ownLetters: new Set(['0/7']) })).toEqual([])
})
