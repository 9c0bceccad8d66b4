// One turn: everything waiting for one home partition, decided in one PostgreSQL transaction. The meeting of core and database.
import type { Pool, PoolClient } from 'pg'
import { parseMessageId, userKey, type MessageIdParts, type SequenceStep } from '@stepcast/contracts'
import { writeDeadLetters, type DeadLetter, type KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { UsersReplica, WorkspacesReplica } from '@stepcast/replica'
import { notStarted } from '@stepcast/sequence'
import { sequenceRulesOf, stepsOf } from '@stepcast/template'
import { isBornCancelled, isCancelled, targetKey, targetsOf, type Target, type Tombstones } from './cancellations'
import type { CachedSequence, CommittedChange } from './committed'
import { draftOf, putTo, type Draft } from './draft'
import type { Report, StartRequest } from './intake'
import type { Published } from './publisher'
import { mayAdvance, quietUntil, type QuietHours } from './quietHours'
import { recallAll } from './recall'
import { allTombstones, takeJobs, tombstonesOf } from './sql/cancels'
import { lockCursor, type Cursor } from './sql/cursor'
import { earlyBytesOf, keepEarly, maxEarlyOfSequence, takeEarly } from './sql/early'
import { exceptions, type Exceptions } from './sql/exceptions'
import { takeReconsiderations } from './sql/reconsiderations'
import { insertHeads, loadSequences, type Head } from './sql/sequences'
import { dueTimers, type TimerRow } from './sql/timers'
import { deleteVariables, insertVariables } from './sql/variables'
import { writeTurn } from './sql/writeTurn'
import { rowsOf } from './turnRows'
import { sizeOfVariables } from './variables'

/** What is remembered of the partition's sequences. */
export type Memory = Pick<ReadonlyMap<string, CachedSequence>, 'get' | 'has'>

/** What a turn is given. */
export interface TurnInputs {
  readonly starts: readonly StartRequest[]
  readonly reports: readonly Report[]
  /** What is reached when this turn commits. */
  readonly sendsOffset: number
  readonly engagementsOffset: number
  /** Timers due at this instant of the database's clock fire; null: none may. */
  readonly fireUpTo: number | null
  /** None of them was due before this instant. */
  readonly fireFrom: number
  readonly note: 'receipts_behind' | null
  readonly hasJobs: boolean
  /** People whose quiet hours have changed wait: what is deferred of theirs is judged again. Only where quiet hours are known. */
  readonly reconsiders: boolean
  /** What is known of quiet hours is of after these were taken; false: none of these can disturb anybody. */
  readonly knowsQuietHours: boolean
  /** Stored with this turn, and what has ended by then is forgotten. */
  readonly published: Published
  /** At most so many timers fire, and jobs of cancels and of changed quiet hours reach so many sequences; the next turn takes the rest. */
  readonly most: { readonly timers: number; readonly jobs: number }
  /** How far a try came: what it took of what the database holds. Told also when it fails. */
  readonly took: { timers: number; jobs: number }
}

/** What a turn did. */
export interface TurnResult {
  readonly changes: readonly CommittedChange[]
  readonly logPosition: number
  /** Sends before this are done; those from here on are left for the next turn. */
  readonly sendsOffset: number
  /** New states, to be remembered now that they are committed. */
  readonly remembered: readonly CachedSequence[]
  /** The earliest timer set; null: none was. */
  readonly nextDueAt: number | null
  /** How late the timers fired here were, milliseconds. */
  readonly latenessMs: readonly number[]
  /** More timers or cancel jobs may wait. */
  readonly more: boolean
  /** More people may wait whose quiet hours have changed. */
  readonly moreReconsider: boolean
}

/** What every turn of a process shares. */
export interface TurnOptions {
  readonly pool: Pool
  readonly connection: KafkaConnection
  readonly users: UsersReplica<QuietHours>
  readonly workspaces: WorkspacesReplica
  /** Length of a "minute" in windows and deadlines, milliseconds. */
  readonly minuteMs: number
}

/** The partition belongs to another owner: give it up until it is assigned again. */
export class PartitionLost extends Error {}
/** The cursor is not where this process left it: what it remembers is void. */
export class CursorMoved extends Error {}

/** A turn's timers at most; the next turn takes the rest. */
export const maxTimers = 2_000
/** Early engagements that a turn applies at most, bytes: twice what one sequence may have. The sends of the others wait for the next turn. */
const maxEarlyBytes = 16 * 1024 * 1024

/** Runs one turn of a partition. Throws {@link PartitionLost}, {@link CursorMoved} or what PostgreSQL and Kafka throw; nothing is committed then. */
export function takeTurn(
  options: TurnOptions,
  partition: number,
  expected: Pick<Cursor, 'ownerEpoch' | 'logPosition'>,
  cache: Memory,
  inputs: TurnInputs,
): Promise<TurnResult> {
  return inTransaction(options.pool, async (tx) => {
    const cursor = await lockCursor(options.pool, tx, partition)
    if (cursor === null || cursor.ownerEpoch !== expected.ownerEpoch) throw new PartitionLost(`partition ${partition} has another owner`)
    if (cursor.logPosition !== expected.logPosition)
      throw new CursorMoved(`partition ${partition} is at position ${cursor.logPosition}, not ${expected.logPosition}`)
    const turn = new Turn(options, tx, partition, cursor.now, cursor.logPosition, cache, inputs)
    return turn.run(cursor)
  })
}

const noTombstones: Tombstones = new Map()
const noJobs: Awaited<ReturnType<typeof takeJobs>> = { reached: [], more: false }

/** A send whose sequence this turn starts. */
interface Start {
  readonly head: Head
  readonly request: StartRequest
}

class Turn {
  private readonly drafts = new Map<string, Draft>()
  private readonly letters: DeadLetter[] = []
  /** What sequences of one template have in common: made once a turn, held by all of them. */
  private readonly stepsOfTemplate = new Map<object, readonly SequenceStep[]>()
  private readonly today: string
  private quiet: ReadonlyMap<string, number> = new Map()
  private more = false
  private moreReconsider = false
  private hasEarly = false
  private sendsOffset: number

  constructor(
    private readonly options: TurnOptions,
    private readonly tx: PoolClient,
    private readonly partition: number,
    private readonly now: number,
    private readonly position: number,
    private readonly cache: Memory,
    private readonly inputs: TurnInputs,
  ) {
    this.today = new Date(now).toISOString().slice(0, 10)
    this.sendsOffset = inputs.sendsOffset
  }

  async run(cursor: Cursor): Promise<TurnResult> {
    const { tx, inputs } = this
    const there = await exceptions(tx)
    // Redelivered records stand below the stored offsets: they were decided already.
    const starts = await this.fitting(
      inputs.starts.filter(({ record }) => record.offset >= cursor.sendsOffset),
      there,
    )
    const reports = inputs.reports.filter(({ record }) => record.offset >= cursor.engagementsOffset)

    const fresh = await this.insertNew(starts)
    const due = inputs.fireUpTo === null ? [] : await dueTimers(tx, this.partition, inputs.fireUpTo, inputs.most.timers, inputs.fireFrom)
    inputs.took.timers = due.length
    const jobs = inputs.hasJobs ? await takeJobs(tx, this.partition, inputs.most.jobs) : noJobs
    const asked = inputs.reconsiders ? await takeReconsiderations(tx, this.partition, inputs.most.jobs - jobs.reached.length) : noJobs
    this.moreReconsider = asked.more
    inputs.took.jobs = jobs.reached.length + asked.reached.length
    await this.load(reports, due, [...jobs.reached, ...asked.reached], fresh)
    const early = this.hasEarly ? await takeEarly(tx, [...fresh.keys()]) : []
    const tombstones = there.tombstones ? await this.tombstones() : noTombstones
    // Who had not to ask has to after all: rare, since a message is answered after it was commanded.
    if (!inputs.knowsQuietHours && early.some(({ report }) => mayAdvance(report))) await this.options.users.caughtUp()
    if (there.quietHours || inputs.reconsiders) await this.readQuietHours(fresh)

    this.cancel(tombstones, jobs.reached)
    for (const start of fresh.values()) this.start(start, tombstones)
    for (const one of early) this.report(this.drafts.get(one.sequenceId)!, one, parseMessageId(one.report.messageId)!, null)
    const unknown: Report[] = []
    for (const report of reports) {
      const draft = this.drafts.get(report.sequenceId)
      if (draft) this.report(draft, report, report, report.traceparent)
      else unknown.push(report)
    }
    for (const sequenceId of asked.reached) this.reconsider(sequenceId)
    for (const timer of due) this.fire(timer)
    this.more = due.length === inputs.most.timers || jobs.more

    await this.keepEarly(unknown)
    await writeDeadLetters(this.options.connection, this.letters)
    return this.store(cursor, due)
  }

  // ── What is there ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The sends that this turn has room for, by what waits for them. */
  private async fitting(starts: readonly StartRequest[], { early }: Exceptions): Promise<readonly StartRequest[]> {
    if (!early || starts.length === 0) return starts
    const bytes = new Map(
      await earlyBytesOf(
        this.tx,
        starts.map(({ sequenceId }) => sequenceId),
      ),
    )
    this.hasEarly = bytes.size > 0
    let sum = 0
    const left = starts.findIndex(({ sequenceId }, index) => {
      sum += bytes.get(sequenceId) ?? 0
      bytes.delete(sequenceId)
      return sum > maxEarlyBytes && index > 0
    })
    if (left < 0) return starts
    this.sendsOffset = starts[left]!.record.offset
    return starts.slice(0, left)
  }

  private async keepEarly(unknown: readonly Report[]): Promise<void> {
    const kept = unknown.map(({ sequenceId, report, record }) => ({
      sequenceId,
      record,
      report: { ...report, occurredAt: this.arrivedBy(report.occurredAt) },
    }))
    for (const { sequenceId, record } of await keepEarly(this.tx, kept)) {
      const detail = `sequence ${sequenceId} is not known yet, and as much as is kept for one waits already (${maxEarlyOfSequence} reports or 8 MB)`
      this.letters.push({ record, reason: 'too_many_early', detail })
    }
  }

  private async insertNew(starts: readonly StartRequest[]): Promise<Map<string, Start>> {
    const wanted = new Map<string, Start>()
    const heads: Head[] = []
    const refused: StartRequest[] = []
    for (const request of starts) {
      const { sequenceId } = request
      if (request.refusal) refused.push(request)
      else if (!wanted.has(sequenceId) && !this.cache.has(sequenceId)) {
        const head = this.headOf(request)
        heads.push(head)
        wanted.set(sequenceId, { head, request })
      }
    }
    const there = await insertHeads(this.tx, this.partition, heads)
    for (const sequenceId of there) wanted.delete(sequenceId)
    await this.refuse(refused, wanted)
    return wanted
  }

  // A send repeated after its template was archived is a repetition, not a refusal.
  private async refuse(refused: readonly StartRequest[], fresh: ReadonlyMap<string, Start>): Promise<void> {
    if (refused.length === 0) return
    const existing = new Set(
      (await loadSequences(this.tx, [...new Set(refused.map(({ sequenceId }) => sequenceId))])).map(({ head }) => head.sequenceId),
    )
    for (const { sequenceId, record, refusal } of refused) {
      if (!existing.has(sequenceId) && !fresh.has(sequenceId)) this.letters.push({ record, ...refusal! })
    }
  }

  private headOf({ sequenceId, send, template }: StartRequest): Head {
    const { workspaceId, sendId, userId, templateId, campaignId } = send
    return { sequenceId, startedOn: this.today, workspaceId, sendId, userId, templateId, templateVersion: template!.version, campaignId }
  }

  /** Brings drafts of the sequences that exist: from memory, or from the database in one query. */
  private async load(
    reports: readonly Report[],
    due: readonly TimerRow[],
    reached: readonly string[],
    fresh: ReadonlyMap<string, Start>,
  ): Promise<void> {
    const missing = new Set<string>()
    const want = (sequenceId: string): void => {
      if (this.drafts.has(sequenceId) || fresh.has(sequenceId)) return
      const cached = this.cache.get(sequenceId)
      if (cached) this.drafts.set(sequenceId, draftOf(cached))
      else missing.add(sequenceId)
    }
    for (const { sequenceId } of reports) want(sequenceId)
    for (const { sequenceId } of due) want(sequenceId)
    for (const sequenceId of reached) want(sequenceId)
    for (const recalled of await recallAll(this.tx, [...missing])) this.drafts.set(recalled.head.sequenceId, draftOf(recalled))
  }

  private async tombstones(): Promise<Tombstones> {
    const { inputs, drafts } = this
    const all = await allTombstones(this.tx)
    if (all !== null) return all
    const targets = new Map<string, Target>()
    const add = (target: Target): void => void targets.set(targetKey(target), target)
    for (const { head } of drafts.values()) targetsOf(head).forEach(add)
    for (const { send, sequenceId } of inputs.starts) targetsOf({ ...send, sequenceId }).forEach(add)
    return tombstonesOf(this.tx, [...targets.values()])
  }

  // Few people have quiet hours: the replica holds only those, and most turns find it empty.
  private async readQuietHours(fresh: ReadonlyMap<string, Start>): Promise<void> {
    const { users, workspaces } = this.options
    const names = new Map<string, { workspaceId: string; userId: string }>()
    for (const { head } of this.drafts.values()) names.set(userKey(head.workspaceId, head.userId), head)
    for (const { head } of fresh.values()) names.set(userKey(head.workspaceId, head.userId), head)
    const found = await users.load([...names.values()], this.tx)
    if (found.size === 0) return
    const settings = await workspaces.load([...new Set([...names.values()].map(({ workspaceId }) => workspaceId))], this.tx)
    const quiet = new Map<string, number>()
    for (const [key, hours] of found) {
      const until = quietUntil(hours, settings.get(names.get(key)!.workspaceId)?.timezone, this.now)
      if (until !== null) quiet.set(key, until)
    }
    this.quiet = quiet
  }

  // ── Deciding, in order: cancels, sends, engagements, timers ─────────────────────────────────────────────────────────────

  private cancel(tombstones: Tombstones, reached: readonly string[]): void {
    for (const sequenceId of reached) {
      const draft = this.drafts.get(sequenceId)
      if (draft?.state.status === 'running') putTo(draft, { type: 'cancel', now: this.now })
    }
    if (tombstones.size === 0) return
    for (const draft of this.drafts.values()) {
      if (draft.state.status === 'running' && isCancelled(draft.head, draft.startedAt, tombstones))
        putTo(draft, { type: 'cancel', now: this.now })
    }
  }

  /** A producer's clock ahead of ours counts as the moment its record arrived. */
  private arrivedBy(toldAt: number): number {
    return Math.min(toldAt, this.now)
  }

  private start({ head, request }: Start, tombstones: Tombstones): void {
    const { send, template, traceparent, variables } = request
    const { minuteMs } = this.options
    const size = sizeOfVariables(variables)
    const draft: Draft = {
      head,
      state: notStarted,
      before: null,
      variables: size > 0 ? variables : null,
      size,
      startedAt: this.now,
      events: [],
      effects: [],
      traceparent,
    }
    this.drafts.set(head.sequenceId, draft)
    const { config, channels } = template!
    let steps = this.stepsOfTemplate.get(config)
    if (!steps) this.stepsOfTemplate.set(config, (steps = stepsOf(config, channels, minuteMs)))
    const rules = sequenceRulesOf(config)
    putTo(draft, {
      type: 'start',
      now: this.now,
      steps,
      onFailure: rules.onFailure,
      lateSignal: rules.lateSignal,
      dispatchTtlMs: rules.dispatchTtlMinutes * minuteMs,
      tag: send.tag,
      source: send.source ?? 'kafka',
      requestedAt: this.arrivedBy(send.requestedAt),
      cancelled: isBornCancelled(head, request, tombstones),
      quietUntil: this.quietUntilOf(head),
    })
  }

  private report(
    draft: Draft,
    { report, record }: Pick<Report, 'report' | 'record'>,
    { step, channelType }: MessageIdParts,
    traceparent: string | null,
  ): void {
    if (report.workspaceId !== draft.head.workspaceId) {
      this.letters.push({ record, reason: 'wrong_workspace', detail: `the message is not one of workspace ${report.workspaceId}` })
      return
    }
    draft.traceparent ??= traceparent
    const { messageId, kind, source, reason, providerMessageId, detail } = report
    const refusal = putTo(draft, {
      type: 'engagement',
      now: this.now,
      messageId,
      step,
      channelType,
      kind,
      occurredAt: this.arrivedBy(report.occurredAt),
      source,
      reason,
      providerMessageId,
      detail,
      quietUntil: this.quietUntilOf(draft.head),
    })
    if (refusal) this.letters.push({ record, reason: refusal.reason, detail: refusal.detail })
  }

  private reconsider(sequenceId: string): void {
    const draft = this.drafts.get(sequenceId)
    if (draft) putTo(draft, { type: 'reconsider', now: this.now, quietUntil: this.quietUntilOf(draft.head) })
  }

  private fire(timer: TimerRow): void {
    const draft = this.drafts.get(timer.sequenceId)
    // failpoint(sync): timer-taken
    if (draft) putTo(draft, { type: 'timer', now: this.now, note: this.inputs.note, quietUntil: this.quietUntilOf(draft.head) })
  }

  private quietUntilOf({ workspaceId, userId }: Head): number | null {
    return this.quiet.size === 0 ? null : (this.quiet.get(userKey(workspaceId, userId)) ?? null)
  }

  // ── Storing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async store(cursor: Cursor, due: readonly TimerRow[]): Promise<TurnResult> {
    const { tx, inputs, partition, now } = this
    const rows = rowsOf(this.drafts.values(), due, { now, position: this.position })
    await insertVariables(tx, partition, rows.variables)
    await deleteVariables(tx, inputs.published.ended)
    await writeTurn(tx, partition, {
      ...rows,
      cursor: {
        sendsOffset: Math.max(cursor.sendsOffset, this.sendsOffset),
        engagementsOffset: Math.max(cursor.engagementsOffset, inputs.engagementsOffset),
        logPosition: rows.position,
        publishedPosition: Math.max(cursor.publishedPosition, inputs.published.position),
      },
    })
    let nextDueAt: number | null = null
    for (const { dueAt } of rows.set) if (nextDueAt === null || dueAt < nextDueAt) nextDueAt = dueAt
    return {
      changes: rows.committed,
      logPosition: rows.position,
      sendsOffset: this.sendsOffset,
      more: this.more,
      moreReconsider: this.moreReconsider,
      remembered: rows.remembered,
      nextDueAt,
      latenessMs: due.map(({ dueAt }) => now - dueAt),
    }
  }
}
