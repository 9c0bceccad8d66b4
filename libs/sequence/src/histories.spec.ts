// Golden histories: what was decided once is decided again, and folds to the same state.
//
// A recorded file is never edited; a new rule adds one. A file is a header line { history, inputs, expected } and one line per change.
// To add one, write a header with `history` and `inputs` only and run this spec once with STEPCAST_RECORD_HISTORIES=1: it completes such
// files and leaves all others alone. `inputs: null` marks a log of an older version, whose events have old shapes: it is folded, not
// decided again.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { evolve, fold } from './evolve'
import { react } from './react'
import { notStarted } from './sequence'
import type { Change, Effect, Sequence, SequenceInput, Timer } from './sequence'
import { nothingYet, put, trace } from './testing'
import { timerOf } from './timer'
import { upcast } from './upcast'

interface Expected {
  readonly trace: string
  readonly commands: readonly Effect[]
  readonly timer: Timer | null
  readonly state: Sequence
}

interface Header {
  readonly history: string
  readonly inputs: readonly SequenceInput[] | null
  readonly expected?: Expected
}

interface StoredChange {
  readonly recordedAt: number
  readonly events: readonly unknown[]
}

const folder = join(__dirname, '..', 'histories')

const read = (file: string): { readonly header: Header; readonly stored: readonly StoredChange[] } => {
  const [header, ...stored] = readFileSync(join(folder, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  return { header: header as Header, stored: stored as readonly StoredChange[] }
}

const current = (stored: readonly StoredChange[]): readonly Change[] =>
  stored.map(({ recordedAt, events }) => ({ recordedAt, events: events.map(upcast) }))

/** What a reader of the log makes of it. */
function replayed(changes: readonly Change[]): Expected {
  const commands: Effect[] = []
  let state = notStarted
  for (const { recordedAt, events } of changes) {
    for (const event of events) {
      commands.push(...react(state, event))
      state = evolve(state, event, recordedAt)
    }
  }
  return { trace: trace(changes), commands, timer: timerOf(state), state }
}

const decided = (inputs: readonly SequenceInput[]): readonly Change[] => inputs.reduce(put, nothingYet).changes

function record(file: string, { history, inputs }: Header, stored: readonly StoredChange[]): void {
  const changes = inputs === null ? stored : decided(inputs)
  const header: Header = { history, inputs, expected: replayed(current(changes)) }
  writeFileSync(join(folder, file), [header, ...changes].map((line) => `${JSON.stringify(line)}\n`).join(''))
}

const files = readdirSync(folder).filter((file) => file.endsWith('.jsonl'))

if (process.env['STEPCAST_RECORD_HISTORIES'] !== undefined) {
  for (const file of files) {
    const { header, stored } = read(file)
    if (header.expected === undefined) record(file, header, stored)
  }
}

describe('golden histories', () => {
  it('are there', () => expect(files.length).toBeGreaterThan(0))

  describe.each(files.map((file) => ({ file, ...read(file) })))('$file: $header.history', ({ header, stored }) => {
    it('folds to the state, commands and timer it had', () => {
      expect(replayed(current(stored))).toEqual(header.expected)
      expect(fold(current(stored))).toEqual(header.expected?.state)
    })

    if (header.inputs !== null) {
      const { inputs } = header
      it('is decided again as it was', () => expect(decided(inputs)).toEqual(stored))
    }
  })
})
