// What came of the shots: each record is used or is one dead letter, and no letter is anybody else's. Pure.
import type { Letter } from './letters'
import type { Shot } from './mutate'
import { neighbour } from './records'

/** A shot and what the broker said to it. */
export interface Fired {
  readonly shot: Shot
  /** 0: it is on its topic. */
  readonly error: number
  /** Of its first record. */
  readonly offset: number
}

/** Something that must not be. */
export interface Problem {
  readonly what: string
  /** Where it comes from, as `topic/partition/offset kind`, as far as that is known. */
  readonly places: readonly string[]
}

/** Where a shot stands, and what it is. */
export const placeOf = ({ shot: { topic, partition, kind, id }, offset }: Fired): string =>
  `${topic}/${partition}/${offset} ${kind} (${id})`

/** What is known when it is over. */
export interface Outcome {
  readonly fired: readonly Fired[]
  readonly letters: readonly Letter[]
  /** How many services read a topic: each of them may put a record aside. */
  readonly readersOf: (topic: string) => number
  /** Where letters stand that are shots themselves, `partition/offset`. */
  readonly ownLetters: ReadonlySet<string>
  /** Sequences that have started. */
  readonly started: ReadonlySet<string>
}

/** Letters by the shot they are of. */
export interface Sorted {
  readonly byShot: ReadonlyMap<Fired, readonly Letter[]>
  /** Of records that are no shots. */
  readonly others: readonly Letter[]
}

/** Finds each letter's shot: by the id it carries, else by the coordinates it names. */
export function sortLetters({ fired, letters, ownLetters }: Outcome): Sorted {
  const byId = new Map(fired.map((one) => [one.shot.id, one]))
  const byPlace = new Map<string, Fired>()
  for (const one of fired) {
    if (one.error !== 0) continue
    for (let index = 0; index < one.shot.records.length; index++)
      byPlace.set(`${one.shot.topic}/${one.shot.partition}/${one.offset + index}`, one)
  }
  const byShot = new Map<Fired, Letter[]>()
  const others: Letter[] = []
  for (const letter of letters) {
    if (ownLetters.has(`${letter.partition}/${letter.offset}`)) continue
    const one = (letter.id === null ? undefined : byId.get(letter.id)) ?? byPlace.get(letter.place)
    if (one === undefined) others.push(letter)
    else byShot.set(one, [...(byShot.get(one) ?? []), letter])
  }
  return { byShot, others }
}

const shown = 12
const some = (places: readonly string[]): readonly string[] =>
  places.length <= shown ? places : [...places.slice(0, shown), `and ${places.length - shown} more`]
const problem = (what: string, places: readonly string[]): Problem[] =>
  places.length === 0 ? [] : [{ what: `${places.length} ${what}`, places: some(places) }]
const reasons = (letters: readonly Letter[]): string => [...new Set(letters.map(({ reason }) => reason))].join(', ')

/** Judges the letters and what has started. */
export function judge(outcome: Outcome, sorted: Sorted = sortLetters(outcome)): Problem[] {
  const { fired, readersOf, started } = outcome
  const there = fired.filter(({ error }) => error === 0)
  const lettersOf = (one: Fired): readonly Letter[] => sorted.byShot.get(one) ?? []
  const missing = there.filter((one) => one.shot.expected === 'letter' && lettersOf(one).length === 0)
  const doubled = there.filter((one) => lettersOf(one).length > one.shot.records.length * readersOf(one.shot.topic))
  const refused = there.filter((one) => (one.shot.expected === 'used' || one.shot.expected === 'invisible') && lettersOf(one).length > 0)
  const notStarted = there.filter(({ shot }) => shot.starts.some((sequenceId) => !started.has(sequenceId)))
  const wronglyStarted = there.filter(({ shot }) => shot.neverStarts.some((sequenceId) => started.has(sequenceId)))
  const named = sorted.others.filter((letter) => letter.holds(neighbour))
  const again = new Map<string, number>()
  for (const { place } of sorted.others) again.set(place, (again.get(place) ?? 0) + 1)
  const repeated = [...again].filter(([place, times]) => times > readersOf(place.split('/')[0]!))
  return [
    ...problem('records are neither used nor dead letters', missing.map(placeOf)),
    ...problem(
      'records became more dead letters than they have readers',
      doubled.map((one) => `${placeOf(one)}: ${lettersOf(one).length} × ${reasons(lettersOf(one))}`),
    ),
    ...problem(
      'good or aborted records became dead letters',
      refused.map((one) => `${placeOf(one)}: ${reasons(lettersOf(one))}: ${lettersOf(one)[0]!.detail}`),
    ),
    ...problem('good sends started nothing', notStarted.map(placeOf)),
    ...problem('aborted sends started something', wronglyStarted.map(placeOf)),
    ...problem(
      'records of the neighbour became dead letters',
      named.map(({ place, reason, detail }) => `${place} ${reason}: ${detail}`),
    ),
    ...problem(
      'other records became dead letters more than once',
      repeated.map(([place, times]) => `${place} ${times} times`),
    ),
  ]
}

/** A table of families: shots, refused by the broker, dead letters by reason. */
export function tableOf({ fired }: Outcome, sorted: Sorted): string[] {
  const families = [...new Set(fired.map(({ shot }) => shot.kind.split('/')[0]!))]
  const rows = families.map((family) => {
    const own = fired.filter(({ shot }) => shot.kind.split('/')[0] === family)
    const letters = own.flatMap((one) => sorted.byShot.get(one) ?? [])
    const counts = new Map<string, number>()
    for (const { reason } of letters) counts.set(reason, (counts.get(reason) ?? 0) + 1)
    const most = [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 4)
      .map(([reason, n]) => `${reason} ${n}`)
    return [family, own.length, own.filter(({ error }) => error !== 0).length, letters.length, most.join(', ')] as const
  })
  const line = (cells: readonly (string | number)[]): string =>
    `${String(cells[0]).padEnd(13)}${cells
      .slice(1, 4)
      .map((cell) => String(cell).padStart(9))
      .join('')}   ${cells[4]}`.trimEnd()
  return [line(['', 'shots', 'refused', 'letters', '']), ...rows.map(line)]
}
