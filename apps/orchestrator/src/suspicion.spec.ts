// One bad input of any kind is found among thousands of every kind, and nothing else goes aside.
import { everything, nothing, Suspicion, type Counts, type Kind } from './suspicion'

const kinds: readonly Kind[] = ['sends', 'reports', 'timers', 'jobs']
const bug = new Error('cannot read properties of undefined')
const outage = Object.assign(new Error('terminating connection'), { code: '57P01' })

/** Works off so many inputs of each kind as a partition does; `bad` names inputs by kind and number. */
function workOff(
  counts: Counts,
  bad: readonly string[],
  errorAt: (turn: number) => Error | null = () => null,
): { aside: string[]; done: string[]; ms: number; turns: number } {
  const suspicion = new Suspicion()
  const at = { ...nothing }
  const aside: string[] = []
  const done: string[] = []
  let [now, turns] = [0, 0]
  const waits = (): Set<Kind> => new Set(kinds.filter((kind) => at[kind] < counts[kind]))
  while (waits().size > 0) {
    if (turns++ > 1_000) throw new Error('does not end')
    const most = suspicion.most(waits(), now)
    const took = Object.fromEntries(kinds.map((kind) => [kind, Math.min(2_000, most[kind], counts[kind] - at[kind])])) as Record<
      Kind,
      number
    >
    const inputs = kinds.flatMap((kind) => Array.from({ length: took[kind] }, (_, n) => `${kind} ${at[kind] + n}`))
    const error = errorAt(turns) ?? (inputs.some((input) => bad.includes(input)) ? bug : null)
    if (error === null) {
      done.push(...inputs)
      for (const kind of kinds) at[kind] += took[kind]
      suspicion.succeeded(took)
      continue
    }
    const answer = suspicion.failed(error, took, now)
    if (answer.next === 'setAside') {
      aside.push(`${answer.kind} ${at[answer.kind]++}`)
      suspicion.wentAside(answer.kind)
    } else now += answer.delayMs
  }
  return { aside, done, ms: now, turns }
}

const many: Counts = { sends: 2_000, reports: 4_000, timers: 2_000, jobs: 1_000 }

it.each(kinds)('one bad input among %s: it alone goes aside, within seconds, and each neighbour is done once', (kind) => {
  for (const bad of [`${kind} 0`, `${kind} 500`, `${kind} 999`]) {
    const { aside, done, ms } = workOff(many, [bad])
    expect(aside).toEqual([bad])
    expect(new Set(done).size).toBe(done.length)
    expect(done).toHaveLength(9_000 - 1)
    expect(ms).toBeLessThan(10_000)
  }
})

it('bad inputs of every kind at once: exactly those', () => {
  const bad = ['sends 7', 'sends 8', 'reports 3999', 'timers 0', 'jobs 1']
  expect(workOff(many, bad).aside.sort()).toEqual([...bad].sort())
})

it('a single input that fails is tried before it goes aside, and one that fails twice only does not go', () => {
  expect(workOff({ ...nothing, sends: 1 }, ['sends 0']).turns).toBeGreaterThan(3)
  expect(workOff({ ...nothing, sends: 1 }, [], (turn) => (turn <= 2 ? bug : null)).aside).toEqual([])
})

it('outages put nothing aside, however many, and do not add to what the inputs did', () => {
  expect(workOff(many, [], (turn) => (turn < 500 ? outage : null)).aside).toEqual([])
  expect(workOff(many, ['reports 5'], (turn) => (turn % 2 === 0 ? outage : null)).aside).toEqual(['reports 5'])
})

it('takes everything together again when the bad one is gone', () => {
  const suspicion = new Suspicion()
  for (let n = 0; n < 3; n++) suspicion.failed(bug, { ...nothing, sends: 2 }, n)
  expect(suspicion.most(new Set(['sends']), 10)).not.toEqual(everything)
  suspicion.succeeded({ ...nothing, sends: 2 })
  expect(suspicion.most(new Set(), 20)).toEqual(everything)
})
