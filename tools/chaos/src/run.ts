// One run: load, faults one after another, the checker looking on, everything drained, the verdict.
import { sleep } from '@stepcast/stack'
import { differences, numbersOf } from './numbers'
import type { Fault } from './faults'
import type { Breach, History } from './history'
import { judge, type Judgement } from './judge'
import { Load } from './load'
import { readLog } from './log'
import { countsFrom, type StruckFault } from './recoveryClock'
import { Progress } from './progress'
import type { Random } from './random'
import type { FaultDone } from './result'
import { minuteMs, partitions, type RunningStage } from './stage'
import { Weather } from './weather'

/** How to run. */
export interface RunOptions {
  readonly stage: RunningStage
  readonly random: Random
  readonly plan: readonly Fault[]
  /** Whatever does not work again within this time after a fault, milliseconds, is a breach. */
  readonly recoverWithinMs: number
  /** Between two faults, milliseconds: least and most. */
  readonly gapMs: readonly [number, number]
  /** Faults that may be recovered from at the same time. */
  readonly atOnce: number
  /** Sequences in flight before the first fault. */
  readonly warmUp: number
  readonly noise: number
  /** Looks for breaches this often; a run stops at the first. */
  readonly lookEveryMs: number
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/** What a run came to. */
export interface RunEnd {
  readonly judgement: Judgement
  readonly history: History
  readonly faults: readonly FaultDone[]
  readonly isDrained: boolean
  readonly problems: readonly string[]
}

/** Sequences a second: two cores run everything, and a run should tell of correctness, not of speed. */
const rate = 10
const drainWithinMs = 100_000
const quietMs = 3_000
const progressEveryMs = 5_000
const enoughInFlight = 10
/** How often a fault is tried that strikes when fewer are in flight. */
const triesAtMost = 3

/** Runs. */
export async function run(options: RunOptions): Promise<RunEnd> {
  const running = new Running(options)
  try {
    return await running.play()
  } finally {
    await running.close()
  }
}

interface Striking {
  readonly fault: Fault
  readonly done: FaultDone
  /** When its end began; null: it is not over. */
  overAt: number | null
}

const struck = ({ fault: { area, works }, done: { at, recoveredAfterMs }, overAt }: Striking): StruckFault => ({
  area,
  works,
  at,
  overAt,
  recoveredAt: recoveredAfterMs === null ? null : at + recoveredAfterMs,
})

class Running {
  private readonly load: Load
  private readonly progress = new Progress(partitions)
  private readonly faults: FaultDone[] = []
  private unrecovered: Striking[] = []
  /** All there were. */
  private readonly strikings: Striking[] = []
  private judgement: Judgement | null = null
  private readonly problems: string[] = []
  private readonly begin = Date.now()
  private shownAt = 0
  private lookedAt = 0
  /** Faults that were not recovered from in time. */
  private readonly late: Breach[] = []
  /** What was judged last. */
  private seen!: History
  private readonly weather: Weather
  private readonly looking: NodeJS.Timeout

  constructor(private readonly options: RunOptions) {
    const { stage, random, noise } = options
    this.load = new Load({
      connection: stage.connection,
      wire: stage.wire,
      api: stage.api,
      workspaceId: stage.workspaceId,
      noisyWorkspaceId: stage.noisyWorkspaceId,
      people: stage.people,
      random: random.fork(),
      rate,
      minuteMs,
      partitions,
    })
    stage.watch.onChange(this.progress.onChange)
    stage.watch.onChange(this.load.onChange)
    this.weather = new Weather({ stage, load: this.load, random: random.fork(), noise, onProblem: (what) => this.problems.push(what) })
    this.looking = setInterval(() => this.lookAtRecovery(), 100)
  }

  async play(): Promise<RunEnd> {
    const { plan, warmUp, recoverWithinMs } = this.options
    this.load.start()
    await this.until(() => this.progress.running >= warmUp && this.progress.works('push', this.begin), 60_000)
    this.weather.begin()
    for (const fault of plan) {
      if (!(await this.strike(fault))) break
    }
    await this.until(() => this.unrecovered.length === 0, recoverWithinMs)
    this.load.stopSending()
    await this.weather.end()
    const isDrained = !this.isBroken && (await this.drain())
    const history = this.isBroken ? this.seen : await this.lastHistory()
    this.judgement = withBreaches(judge(history), this.late)
    return { judgement: this.judgement, history, faults: this.faults, isDrained, problems: [...this.problems, ...this.load.refusals] }
  }

  async close(): Promise<void> {
    clearInterval(this.looking)
    await this.weather.end()
    await this.load.stop()
  }

  private get isBroken(): boolean {
    return (this.judgement?.breaches.length ?? 0) > 0 || this.late.length > 0
  }

  // ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns false: there is no use in going on */
  private async strike(fault: Fault): Promise<boolean> {
    const { stage, random, gapMs, atOnce, recoverWithinMs } = this.options
    const free = (): boolean => this.unrecovered.length < atOnce && this.unrecovered.every((other) => other.fault.area !== fault.area)
    for (let tries = 1; ; tries++) {
      await this.until(() => free() && stage.keeper.isUp(pairOf(fault.area)), recoverWithinMs * 2)
      await this.until(() => false, random.between(...gapMs))
      await this.until(() => this.progress.running >= enoughInFlight, 20_000)
      if (this.isBroken) return false
      const striking = await this.strikeOnce(fault)
      this.unrecovered.push(striking)
      this.strikings.push(striking)
      // The place where it was to be killed was reached when little was going on: it proves little, so once more.
      if (striking.done.inFlight < enoughInFlight && tries < triesAtMost) continue
      this.faults.push(striking.done)
      this.show()
      return true
    }
  }

  private async strikeOnce(fault: Fault): Promise<Striking> {
    const { stage, random } = this.options
    const before = Date.now()
    const { victim, at, over, insteadOf } = await fault.strike({
      keeper: stage.keeper,
      failpoints: stage.failpoints,
      connection: stage.connection,
      random,
    })
    const kind = insteadOf === undefined ? fault.kind : `kill -9 ${fault.area}`
    const done: FaultDone = { kind, victim, at, inFlight: this.progress.running, recoveredAfterMs: null }
    const striking: Striking = { fault, done, overAt: over === undefined ? Math.max(before, at) : null }
    void over?.catch((error: Error) => this.problems.push(`${kind}: ${error.message}`)).then(() => (striking.overAt = Date.now()))
    return striking
  }

  /** Faults whose victims work again leave the list; those that take too long are breaches. */
  private lookAtRecovery(): void {
    const now = Date.now()
    const { stage, recoverWithinMs } = this.options
    this.unrecovered = this.unrecovered.filter((striking) => {
      const { fault, done, overAt } = striking
      if (overAt !== null && stage.keeper.isUp(pairOf(fault.area)) && fault.works.every((work) => this.progress.works(work, overAt))) {
        done.recoveredAfterMs = now - done.at
        return false
      }
      if (
        now - countsFrom(struck(striking), this.strikings.filter((other) => other !== striking).map(struck), now, recoverWithinMs) >
        recoverWithinMs
      ) {
        this.late.push({
          promise: 'the product recovers by itself',
          what: `${recoverWithinMs / 1_000} s after ${done.kind} it does not work again: ${this.missing(fault, overAt)}`,
          sequenceId: null,
        })
        return false
      }
      return true
    })
  }

  private missing({ area, works }: Fault, overAt: number | null): string {
    if (overAt === null) return 'it is not over'
    if (!this.options.stage.keeper.isUp(pairOf(area))) return `${area} is not up`
    const parts = works
      .map((work) => ({ work, partitions: this.progress.missing(work, overAt) }))
      .filter(({ partitions }) => partitions.length > 0)
    return parts.map(({ work, partitions }) => `${work} in partitions ${partitions.join(', ')}`).join('; ')
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async drain(): Promise<boolean> {
    let quietSince = Date.now()
    let last = ''
    const isQuiet = (): boolean => {
      const now = `${this.options.stage.watch.changes.length}/${this.load.pending}/${this.options.stage.arrivals().length}`
      if (now !== last) quietSince = Date.now()
      last = now
      return this.load.pending === 0 && this.progress.running === 0 && Date.now() - quietSince > quietMs
    }
    const drained = await this.until(isQuiet, drainWithinMs)
    return (await this.options.stage.watch.caughtUp(15_000)) && drained
  }

  private async lastHistory(): Promise<History> {
    const { stage } = this.options
    const timers = await stage.timers()
    const expected = numbersOf(readLog(stage.watch.changes).changes)
    let numbers = await stage.numbers()
    // Numbers follow within moments; whoever still differs after 20 s is wrong.
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; numbers = await stage.numbers()) {
      if ([...numbers].every(([template, told]) => differences(told, expected.get(template)).length === 0)) break
      await sleep(500)
    }
    return { ...(await this.history(true)), final: { numbers, timers } }
  }

  /** @param isLast asks the product for as long as it takes; else what it does not answer at once is left out */
  private async history(isLast: boolean): Promise<History> {
    const {
      load,
      options: { stage },
    } = this
    const { watch } = stage
    const arrivals = stage.arrivals()
    const unknown = isLast ? await stage.unknown() : await stage.unknown(1_000).catch(() => null)
    return {
      asked: load.asked,
      accepted: load.accepted,
      receipts: load.receipts,
      cancels: load.cancels,
      optOuts: load.optOuts,
      poison: load.poison,
      arrivals,
      unknown,
      sends: watch.sends,
      changes: watch.changes,
      commands: watch.commands,
      deadLetters: watch.deadLetters,
      final: null,
    }
  }

  /** Waits, looks on, and shows how it goes. @returns false: not within that time, or there is no use in waiting */
  private async until(done: () => boolean, withinMs: number): Promise<boolean> {
    for (const deadline = Date.now() + withinMs; ; await sleep(100)) {
      this.options.signal.throwIfAborted()
      await this.look()
      if (Date.now() - this.shownAt > progressEveryMs) this.show()
      if (this.isBroken) return false
      if (done()) return true
      if (Date.now() > deadline) return false
    }
  }

  private async look(): Promise<void> {
    if (Date.now() - this.lookedAt < this.options.lookEveryMs) return
    this.seen = await this.history(false)
    this.judgement = judge(this.seen)
    this.lookedAt = Date.now()
  }

  private show(): void {
    this.shownAt = Date.now()
    const {
      options: { onProgress, plan },
      load,
      progress,
      faults,
    } = this
    const last = faults.at(-1)
    const seconds = Math.round((Date.now() - this.begin) / 1_000)
    const recovering = this.unrecovered.length > 0 ? ', recovering' : ''
    const parts = [
      `${String(seconds).padStart(4)} s  ${load.accepted.length} sends`,
      `${progress.running} in flight`,
      `${faults.length} of ${plan.length} faults`,
      ...(last === undefined ? [] : [`last: ${last.kind} (${last.victim})${recovering}`]),
    ]
    onProgress(parts.join(', '))
  }
}

const pairOf = (area: string): string[] => {
  switch (area) {
    case 'orchestrator':
    case 'inapp-dispatcher':
    case 'push-dispatcher':
      return [area, `${area}-2`]
    case 'topics':
      return []
    default:
      return [area]
  }
}

const withBreaches = (judgement: Judgement, more: readonly Breach[]): Judgement => ({
  ...judgement,
  breaches: [...judgement.breaches, ...more],
})
