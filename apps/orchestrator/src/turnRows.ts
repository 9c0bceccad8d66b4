// What a turn has to store, as it follows from its drafts: changes with their places, timers that come and go, endings, variables. Pure.
import { ScratchEncoder } from '@stepcast/contracts'
import { notStarted, timerOf, type Effect, type Ended } from '@stepcast/sequence'
import { writeChange } from './changeCodec'
import { maxChangeBytes, partsOf } from './changeParts'
import type { CachedSequence, CommittedChange } from './committed'
import type { Draft } from './draft'
import type { NewChange } from './sql/changes'
import type { TimerRow } from './sql/timers'
import type { NewVariables } from './sql/variables'
import { smallVariables } from './variables'

/** The rows of a turn, and what is told and remembered of them once they are committed. */
export interface TurnRows {
  readonly changes: readonly NewChange[]
  /** The data of all changes, one after another. */
  readonly data: Buffer
  readonly gone: readonly TimerRow[]
  readonly set: readonly TimerRow[]
  readonly ended: readonly { readonly sequenceId: string; readonly outcome: Ended['outcome'] }[]
  readonly variables: readonly NewVariables[]
  /** The log position of the last change. */
  readonly position: number
  readonly committed: readonly CommittedChange[]
  readonly remembered: readonly CachedSequence[]
}

// Reused by every turn of the process: a turn encodes its changes without a pause and takes a copy.
const scratch = new ScratchEncoder()

/**
 * The rows that drafts come to. Every running sequence has exactly one timer row, which follows from its state; a change holds at most
 * {@link maxChangeBytes}, so a turn's events of one sequence may be several.
 * @param fired timers that this turn took: their rows go, whatever came of them
 * @param at the turn's time, and the log position that it begins behind
 */
export function rowsOf(
  drafts: Iterable<Draft>,
  fired: readonly TimerRow[],
  at: { readonly now: number; readonly position: number },
): TurnRows {
  const hasFired = new Set<string>()
  for (const { sequenceId } of fired) hasFired.add(sequenceId)
  const rows = new Rows(at.now, at.position, [...fired])
  for (const draft of drafts) {
    const fires = hasFired.has(draft.head.sequenceId)
    if (draft.events.length === 0 && !fires) continue
    rows.moveTimer(draft, fires)
    if (draft.events.length > 0) rows.change(draft)
  }
  return rows.end()
}

class Rows {
  private readonly set: TimerRow[] = []
  private readonly stored: NewChange[] = []
  private readonly made: { readonly draft: Draft; readonly effects: readonly Effect[]; readonly ended: boolean }[] = []
  private readonly ended: { readonly sequenceId: string; readonly outcome: Ended['outcome'] }[] = []
  private readonly variables: NewVariables[] = []
  private readonly remembered: CachedSequence[] = []
  private to = 0

  constructor(
    private readonly now: number,
    private position: number,
    private readonly gone: TimerRow[],
  ) {}

  moveTimer({ head: { sequenceId }, before, state }: Draft, fires: boolean): void {
    const was = before === null ? null : timerOf(before.state)
    const is = timerOf(state)
    if (was?.dueAt === is?.dueAt && !fires) return
    if (was && !fires) this.gone.push({ sequenceId, dueAt: was.dueAt })
    if (is) this.set.push({ sequenceId, dueAt: is.dueAt })
  }

  change(draft: Draft): void {
    const { head, before, events, effects, state } = draft
    const ends = state.status === 'ended' && before?.state.status !== 'ended'
    let version = (before?.version ?? 0) + 1
    const from = this.to
    this.to = writeChange(scratch, from, { recordedAt: this.now, events })
    if (this.to - from <= maxChangeBytes) this.add(draft, version, from, effects, ends)
    else {
      this.to = from
      version--
      for (const part of partsOf(before?.state ?? notStarted, events, this.now)) {
        const start = this.to
        this.to = writeChange(scratch, start, { recordedAt: this.now, events: part.events })
        this.add(draft, ++version, start, part.effects, part.ended)
      }
    }
    this.remembered.push(rememberedOf(draft, version))
    if (ends) this.ended.push({ sequenceId: head.sequenceId, outcome: state.outcome })
    // Also of one that ends in its first turn: its commands may have to be published again after a crash.
    if (before !== null || draft.variables === null || draft.variables === 'stored') return
    if (state.status === 'running' || effects.length > 0) this.variables.push({ head, variables: draft.variables })
  }

  end(): TurnRows {
    const data = Buffer.from(scratch.buffer.subarray(0, this.to))
    const committed = this.stored.map(({ version, position, from, to }, index): CommittedChange => {
      const { draft, effects, ended } = this.made[index]!
      const { head, variables, traceparent } = draft
      return { head, version, position, bytes: data, from, to, effects, variables, traceparent, ended }
    })
    const { stored: changes, gone, set, ended, variables, position, remembered } = this
    return { changes, data, gone, set, ended, variables, position, committed, remembered }
  }

  private add(draft: Draft, version: number, from: number, effects: readonly Effect[], ended: boolean): void {
    const { startedOn, sequenceId } = draft.head
    this.stored.push({ startedOn, sequenceId, version, position: ++this.position, from, to: this.to })
    this.made.push({ draft, effects, ended })
  }
}

/** A sequence as it is worth remembering: small variables as long as a step may need them; large ones are read when one does. */
function rememberedOf({ head, state, variables, size, startedAt }: Draft, version: number): CachedSequence {
  if (state.status === 'ended') return { head, state, version, variables: null, size: 0, startedAt }
  return size > smallVariables
    ? { head, state, version, variables: 'stored', size: 0, startedAt }
    : { head, state, version, variables, size, startedAt }
}
