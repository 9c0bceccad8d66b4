// What the engine does beside its turns: days of changes made ahead, and everything that is over its time deleted, at start and until done.
import { writeDeadLetters } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { EngineMetrics } from './metrics'
import { retire } from './retention'
import type { Settings } from './settings'
import { ensureChangePartitions } from './sql/changes'
import { expireEarly } from './sql/early'
import { withHead } from './sql/retention'
import { deleteOld, settleUnseen } from './sql/unseen'
import type { TurnOptions } from './turn'

/** What housekeeping needs. */
export interface HousekeepingOptions {
  readonly turn: Pick<TurnOptions, 'pool' | 'connection'>
  readonly metrics: Pick<EngineMetrics, 'houseKeptBy'>
  readonly settings: Pick<Settings, 'changesKeptDays' | 'headsKeptDays'>
  /** Looks for variables that a crash, an error or a restart left behind. */
  readonly sweep: () => Promise<void>
}

const everyMs = 10 * 60_000
// Longer than sends stay on their topic: no late child can be missed, and no cancel comes a second time.
const tombstonesKeptDays = 30
// Some 20 ms a statement, and turns in between.
const rowsAtOnce = 2_000

/** Each task's failure is its own: it is tried again with the next round. */
export class Housekeeping {
  private timer: NodeJS.Timeout | null = null
  private round: Promise<void> | null = null
  /** The day retention last ran; it has something to do once a day. */
  private retiredOn: string | null = null
  private stopped = false

  constructor(private readonly options: HousekeepingOptions) {}

  /** Begins now and goes on every ten minutes: a process that never lives that long would never do any. */
  start(): void {
    const begin = (): void => {
      // A round that takes longer is not joined by a second one.
      this.round ??= this.keepHouse().finally(() => (this.round = null))
    }
    this.timer = setInterval(begin, everyMs)
    begin()
  }

  /** Ends after the statement at hand. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.timer) clearInterval(this.timer)
    await this.round
  }

  /** Makes the tables of the coming days; answers why not. */
  makeDays(): Promise<Error | null> {
    return this.keep('partitions of the coming days', () => ensureChangePartitions(this.options.turn.pool))
  }

  private async keepHouse(): Promise<void> {
    const { pool } = this.options.turn
    await this.makeDays()
    await this.keep('variables left over', this.options.sweep)
    await this.keep('early engagements', () => this.untilDone(() => this.expireEarly()))
    await this.keep('cancels of unknown ids', () => this.untilDone(() => settleUnseen(pool, rowsAtOnce)))
    await this.keep('tombstones', async () => {
      for (const table of ['tombstones', 'cancels'] as const)
        await this.untilDone(() => deleteOld(pool, table, tombstonesKeptDays, rowsAtOnce))
    })
    const today = new Date().toISOString().slice(0, 10)
    if (this.retiredOn !== today) await this.keep('retention', () => this.retire(today))
  }

  private async keep(task: string, work: () => Promise<unknown>): Promise<Error | null> {
    const {
      turn: { connection },
      metrics,
    } = this.options
    if (this.stopped) return null
    const error = await work().then(
      () => null,
      (failure: Error) => failure,
    )
    metrics.houseKeptBy(task, error === null)
    if (error) connection.log.warn({ task, error: error.message }, 'housekeeping failed; it is tried again in ten minutes')
    return error
  }

  /** Repeats a bounded statement until it finds nothing more. */
  private async untilDone(some: () => Promise<number>): Promise<void> {
    while (!this.stopped && (await some()) > 0);
  }

  private async expireEarly(): Promise<number> {
    const { pool, connection } = this.options.turn
    return inTransaction(pool, async (tx) => {
      const expired = await expireEarly(tx)
      const known = await withHead(
        tx,
        expired.map(({ sequenceId }) => sequenceId),
      )
      await writeDeadLetters(
        connection,
        expired.map(({ record, sequenceId }) =>
          known.has(sequenceId)
            ? { record, reason: 'retired_sequence', detail: `the history of sequence ${sequenceId} is over its retention` }
            : { record, reason: 'unknown_sequence', detail: `no send made sequence ${sequenceId} known within 24 hours` },
        ),
      )
      return expired.length
    })
  }

  private async retire(today: string): Promise<void> {
    const {
      turn: { pool, connection },
      settings: { changesKeptDays, headsKeptDays },
    } = this.options
    await retire({ pool, log: connection.log, changesKeptDays, headsKeptDays, goOn: () => !this.stopped })
    this.retiredOn = today
  }
}
