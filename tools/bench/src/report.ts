// What people read: ratios, targets and a table of all contestants.
import { ratio } from './numbers'
import type { Result } from './result'

/** What Stepcast has to reach, as issue and README state it. */
export interface Target {
  readonly what: string
  /** `least`: the figure has to be as high as this; `most`: as low. */
  readonly bound: 'least' | 'most'
  readonly target: number
  readonly goal: number
  readonly unit: string
}

/** A target beside its figure. */
export interface Judged extends Target {
  /** null: this run did not measure it. */
  readonly value: number | null
  readonly verdict: 'goal met' | 'met' | 'not met' | 'not measured'
}

/** Stepcast's sequences a second as a multiple of each other contestant's; above 1 Stepcast is faster. Invalid runs have no ratio. */
export function ratiosOf(stepcast: Result, others: readonly Result[]): Record<string, number> {
  return Object.fromEntries(
    others.flatMap(({ name, sequencesPerSecond, valid }) => {
      const found = valid && stepcast.valid ? ratio(stepcast.sequencesPerSecond, sequencesPerSecond) : null
      return found === null ? [] : [[name, found]]
    }),
  )
}

/** Every target with its figure and whether it is met. */
export function judge(stepcast: Result, ratios: Readonly<Record<string, number>>): Judged[] {
  const against = (name: string, target: number, goal: number): readonly [Target, number | null] => [
    { what: `sequences/s against ${name}`, bound: 'least', target, goal, unit: '×' },
    ratios[name] ?? null,
  ]
  const most = (what: string, target: number, goal: number, unit: string, value: number | null): readonly [Target, number | null] => [
    { what, bound: 'most', target, goal, unit },
    value,
  ]
  const all = [
    against('limit', 0.5, 0.8),
    against('naive', 7, 11),
    against('dbos', 20, 35),
    against('bullmq per-step', 0.85, 1.3),
    most('CPU per 1,000 sequences', 0.25, 0.15, ' s', stepcast.cpuSecondsPer1000.total ?? null),
    most('bytes per sequence', 1_300, 800, ' B', stepcast.bytesPerSequence),
    most('timer lateness p99', 50, 20, ' ms', stepcast.latenessMs?.p99 ?? null),
    most('latency p99 at half the peak', 250, 100, ' ms', stepcast.latencyMs?.p99 ?? null),
  ]
  return all.map(([target, value]) => ({ ...target, value, verdict: verdictOf(target, value) }))
}

/** The push phase's target with its figure. */
export function judgePush(value: number): Judged[] {
  const target: Target = { what: 'pushes/s against a bare HTTP/2 client', bound: 'least', target: 0.6, goal: 0.8, unit: '×' }
  return [{ ...target, value, verdict: verdictOf(target, value) }]
}

function verdictOf({ bound, target, goal }: Target, value: number | null): Judged['verdict'] {
  if (value === null) return 'not measured'
  const reaches = (limit: number): boolean => (bound === 'least' ? value >= limit : value <= limit)
  return reaches(goal) ? 'goal met' : reaches(target) ? 'met' : 'not met'
}

const number = (value: number | null | undefined): string => (value === null || value === undefined ? '–' : value.toLocaleString('en'))

/** Rows of cells as text: the first column to the left, figures to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  return [line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}

/** The contestants, Stepcast first, with the ratio of each. */
export function contestantsTable(results: readonly Result[], ratios: Readonly<Record<string, number>>): string {
  const rows = results.map((result) => [
    result.name,
    number(result.n),
    number(result.phases.start),
    number(result.phases.requested),
    number(result.phases.engaged),
    number(result.phases.timers),
    number(result.sequencesPerSecond),
    ratios[result.name] === undefined ? '' : `${ratios[result.name]!.toFixed(2)}×`,
    number(result.cpuSecondsPer1000.total),
    `${number(result.bytesPerSequence)}${result.bytesIn === undefined ? '' : '*'}`,
    number(result.latenessMs?.p99),
    result.valid ? 'yes' : 'NO',
  ])
  const head = [
    '',
    'n',
    'start/s',
    'requested/s',
    'engaged/s',
    'timers/s',
    'sequences/s',
    'stepcast is',
    'CPU-s/1,000',
    'bytes/seq',
    'late p99 ms',
    'valid',
  ]
  const remarks = results.flatMap(({ name, bytesIn }) => (bytesIn === undefined ? [] : [`* ${name}: ${bytesIn}`]))
  return [table(head, rows), ...remarks].join('\n')
}

/** The targets, one a line. */
export function targetsTable(judged: readonly Judged[]): string {
  return table(
    ['target', 'figure', 'target', 'goal', ''],
    judged.map(({ what, bound, target, goal, unit, value, verdict }) => {
      const sign = bound === 'least' ? '≥' : '≤'
      return [
        what,
        value === null ? '–' : `${value.toLocaleString('en')}${unit}`,
        `${sign} ${target.toLocaleString('en')}${unit}`,
        `${sign} ${goal.toLocaleString('en')}${unit}`,
        verdict,
      ]
    }),
  )
}
