// One turn: everything waiting for one home partition, decided in one PostgreSQL transaction. The meeting of core and database.
import type { Pool, PoolClient } from 'pg'
import { userKey, type EngagementReported } from '@stepcast/contracts'
import { writeDeadLetters, type DeadLetter, type KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { UsersReplica, WorkspacesReplica } from '@stepcast/replica'
import { decide, evolve, isRefusal, notStarted, react, timerOf, type Effect, type Sequence, type SequenceEvent, type SequenceInput, type Timer } from '@stepcast/sequence'
import { sequenceRulesOf, stepsOf } from '@stepcast/template'
import { decodeChange, encodeChange } from './changeCodec'
import type { Report, StartRequest } from './intake'
import { quietUntil, type QuietHours } from './quietHours'
import { anyTombstone, takeJob, targetKey, tombstonesOf, type Target } from './sql/cancels'
import { insertChanges } from './sql/changes'
import { lockCursor, moveCursor, type Cursor } from './sql/cursor'
import { keepEarly, takeEarly } from './sql/early'
import { deleteVariables, endHeads, insertHeads, insertVariables, loadSequences, type Head, type LoadedSequence } from './sql/sequences'
import { dueTimers, replaceTimers, type TimerRow } from './sql/timers'

/** What the process remembers of a sequence: as committed, never ahead. */
export interface CachedSequence {
  readonly head: Head
  readonly state: Sequence
  readonly version: number
  readonly variables: Readonly<Record<string, string>> | null
  /** When its send was asked for; null where the producer's schema did not say. */
  readonly requestedAt: number | null
}

/** A change as committed, with all that publishing it needs. */
export interface CommittedChange {
  readonly head: Head
  readonly version: number
  readonly position: number
  readonly data: Buffer
  readonly effects: readonly Effect[]
  readonly variables: Readonly<Record<string, string>> | null
  readonly traceparent: string | null
  readonly ended: boolean
}

/** What a turn is given. */
export interface TurnInputs {
  readonly starts: readonly StartRequest[]
  readonly reports: readonly Report[]
  /** What is reached when this turn commits. */
  readonly sendsOffset: number
  readonly engagementsOffset: number
  /** Timers due at this instant of the database's clock fire; null: none may. */
  readonly fireUpTo: number | null
  readonly note: 'receipts_behind' | null
  readonly hasJobs: boolean
  /** Published so far; stored with this turn. */
  readonly publishedPosition: number
  /** Sequences whose end is published: their variables go. */
  readonly forget: readonly string[]
}

/** What a turn did. */
export interface TurnResult {
  readonly changes: readonly CommittedChange[]
  readonly logPosition: number
  /** New states, to be remembered now that they are committed. */
  readonly remembered: readonly CachedSequence[]
  /** The earliest timer set; null: none was. */
  readonly nextDueAt: number | null
  /** How late the timers fired here were, milliseconds. */
  readonly latenessMs: readonly number[]
  /** More timers or cancel jobs may wait. */
  readonly more: boolean
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
const maxTimers = 2_000

/** A sequence as this turn changes it. */
interface Draft {
  readonly head: Head
  state: Sequence
  readonly before: CachedSequence | null
  readonly timerBefore: Timer | null
  readonly variables: Readonly<Record<string, string>> | null
  readonly events: SequenceEvent[]
  readonly effects: Effect[]
  readonly requestedAt: number | null
  traceparent: string | null
}

/** Runs one turn of a partition. Throws {@link PartitionLost}, {@link CursorMoved} or what PostgreSQL and Kafka throw; nothing is committed then. */
export function takeTurn(
  options: TurnOptions, partition: number, expected: Pick<Cursor, 'ownerEpoch' | 'logPosition'>, cache: ReadonlyMap<string, CachedSequence>, inputs: TurnInputs,
): Promise<TurnResult> {
  return inTransaction(options.pool, async (tx) => {
    const cursor = await lockCursor(options.pool, tx, partition)
    if (cursor === null || cursor.ownerEpoch !== expected.ownerEpoch) throw new PartitionLost(`partition ${partition} has another owner`)
    if (cursor.logPosition !== expected.logPosition) throw new CursorMoved(`partition ${partition} is at position ${cursor.logPosition}, not ${expected.logPosition}`)
    const turn = new Turn(options, tx, partition, cursor.now, cursor.logPosition, cache, inputs)
    return turn.run(cursor)
  })
}

class Turn {
  private readonly drafts = new Map<string, Draft>()
  private readonly letters: DeadLetter[] = []
  private readonly clearTimers: TimerRow[] = []
  private quiet: ReadonlyMap<string, number> = new Map()
  private more = false

  constructor(
    private readonly options: TurnOptions,
    private readonly tx: PoolClient,
    private readonly partition: number,
    private readonly now: number,
    private readonly position: number,
    private readonly cache: ReadonlyMap<string, CachedSequence>,
    private readonly inputs: TurnInputs,
  ) {}

  async run(cursor: Cursor): Promise<TurnResult> {
    const { tx, inputs } = this
    // Redelivered records stand below the stored offsets: they were decided already.
    const starts = inputs.starts.filter(({ record }) => record.offset >= cursor.sendsOffset)
    const reports = inputs.reports.filter(({ record }) => record.offset >= cursor.engagementsOffset)

    const fresh = await this.insertNew(starts)
    const due = inputs.fireUpTo === null ? [] : await dueTimers(tx, this.partition, inputs.fireUpTo, maxTimers)
    const job = inputs.hasJobs ? await takeJob(tx, this.partition) : null
    const known = await this.load([...reports.map(({ sequenceId }) => sequenceId), ...due.map(({ sequenceId }) => sequenceId), ...(job?.sequenceIds ?? [])], fresh)
    const tombstones = await this.tombstones()
    await this.readQuietHours(fresh)

    this.cancel(tombstones, job)
    for (const start of fresh.values()) this.start(start, tombstones)
    const early = await this.earlyReports(fresh)
    for (const { sequenceId, report, record } of early) this.report(sequenceId, report, record, null)
    const unknown = reports.filter(({ sequenceId }) => !known.has(sequenceId) && !fresh.has(sequenceId))
    for (const { sequenceId, report, record, traceparent } of reports) {
      if (this.drafts.has(sequenceId)) this.report(sequenceId, report, record, traceparent)
    }
    for (const timer of due) this.fire(timer)
    this.more = due.length === maxTimers || job !== null

    await keepEarly(tx, unknown)
    await writeDeadLetters(this.options.connection, this.letters)
    return this.store(cursor, due)
  }

  // ── What is there ────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async insertNew(starts: readonly StartRequest[]): Promise<Map<string, StartRequest>> {
    const wanted = new Map<string, StartRequest>()
    const refused: StartRequest[] = []
    for (const start of starts) {
      if (start.refusal) refused.push(start)
      else if (!wanted.has(start.sequenceId) && !this.cache.has(start.sequenceId)) wanted.set(start.sequenceId, start)
    }
    const inserted = await insertHeads(this.tx, this.partition, [...wanted.values()].map((start) => this.headOf(start)))
    for (const sequenceId of wanted.keys()) if (!inserted.has(sequenceId)) wanted.delete(sequenceId)
    await this.refuse(refused, wanted)
    return wanted
  }

  // A send repeated after its template was archived is a repetition, not a refusal.
  private async refuse(refused: readonly StartRequest[], fresh: ReadonlyMap<string, StartRequest>): Promise<void> {
    if (refused.length === 0) return
    const existing = new Set((await loadSequences(this.tx, [...new Set(refused.map(({ sequenceId }) => sequenceId))])).map(({ head }) => head.sequenceId))
    for (const { sequenceId, record, refusal } of refused) {
      if (!existing.has(sequenceId) && !fresh.has(sequenceId)) this.letters.push({ record, ...refusal! })
    }
  }

  private headOf({ sequenceId, send, template }: StartRequest): Head {
    const { workspaceId, sendId, userId, templateId, campaignId } = send
    return { sequenceId, startedOn: new Date(this.now).toISOString().slice(0, 10), workspaceId, sendId, userId, templateId, templateVersion: template!.version, campaignId }
  }

  /** Brings drafts of the sequences that exist: from memory, or from the database in one query. */
  private async load(sequenceIds: readonly string[], fresh: ReadonlyMap<string, StartRequest>): Promise<ReadonlySet<string>> {
    const missing = new Set<string>()
    for (const sequenceId of sequenceIds) {
      if (this.drafts.has(sequenceId) || fresh.has(sequenceId)) continue
      const cached = this.cache.get(sequenceId)
      if (cached) this.drafts.set(sequenceId, this.draftOf(cached.head, cached, cached.variables, cached.requestedAt))
      else missing.add(sequenceId)
    }
    for (const loaded of await loadSequences(this.tx, [...missing])) {
      const cached = recall(loaded)
      this.drafts.set(loaded.head.sequenceId, this.draftOf(loaded.head, cached, loaded.variables, cached.requestedAt))
    }
    return new Set(this.drafts.keys())
  }

  private draftOf(head: Head, before: CachedSequence | null, variables: Draft['variables'], requestedAt: number | null): Draft {
    const state = before?.state ?? notStarted
    return { head, state, before, timerBefore: timerOf(state), variables, requestedAt, events: [], effects: [], traceparent: null }
  }

  private async tombstones(): Promise<ReadonlyMap<string, number>> {
    const { inputs, drafts } = this
    if (!(await anyTombstone(this.tx))) return new Map()
    const targets = new Map<string, Target>()
    const add = (target: Target): void => void targets.set(targetKey(target), target)
    for (const { head } of drafts.values()) targetsOf(head).forEach(add)
    for (const { send, sequenceId } of inputs.starts) targetsOf({ ...send, sequenceId }).forEach(add)
    return tombstonesOf(this.tx, [...targets.values()])
  }

  // Few people have quiet hours: the replica holds only those, and most turns find it empty.
  private async readQuietHours(fresh: ReadonlyMap<string, StartRequest>): Promise<void> {
    const { users, workspaces } = this.options
    if (await users.isEmpty(this.tx)) return
    const names = new Map<string, { workspaceId: string; userId: string }>()
    for (const { head } of this.drafts.values()) names.set(userKey(head.workspaceId, head.userId), head)
    for (const { send } of fresh.values()) names.set(userKey(send.workspaceId, send.userId), send)
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

  private async earlyReports(fresh: ReadonlyMap<string, StartRequest>): Promise<Awaited<ReturnType<typeof takeEarly>>> {
    if (fresh.size === 0) return []
    return takeEarly(this.tx, [...fresh.keys()])
  }

  // ── Deciding, in order: cancels, sends, engagements, timers ─────────────────────────────────────────────────────────────

  private cancel(tombstones: ReadonlyMap<string, number>, job: Awaited<ReturnType<typeof takeJob>>): void {
    const reached = new Set(job?.sequenceIds ?? [])
    for (const draft of this.drafts.values()) {
      if (draft.state.status !== 'running') continue
      const byJob = job !== null && reached.has(draft.head.sequenceId) && covers(job.scope, job.requestedAt, draft.requestedAt)
      if (byJob || isCancelled(draft.head, draft.requestedAt, tombstones)) this.put(draft, { type: 'cancel', now: this.now })
    }
  }

  private start(start: StartRequest, tombstones: ReadonlyMap<string, number>): void {
    const { send, template, sequenceId, traceparent } = start
    const { minuteMs } = this.options
    const head = this.headOf(start)
    const draft = this.draftOf(head, null, Object.keys(start.variables).length > 0 ? start.variables : null, send.requestedAt)
    draft.traceparent = traceparent
    this.drafts.set(sequenceId, draft)
    const rules = sequenceRulesOf(template!.config)
    this.put(draft, {
      type: 'start', now: this.now, steps: stepsOf(template!.config, template!.channels, minuteMs),
      onFailure: rules.onFailure, lateSignal: rules.lateSignal, dispatchTtlMs: rules.dispatchTtlMinutes * minuteMs,
      tag: send.tag, source: send.source ?? 'kafka', requestedAt: send.requestedAt,
      cancelled: isCancelled(head, send.requestedAt, tombstones), quietUntil: this.quietUntilOf(head),
    })
  }

  private report(sequenceId: string, report: EngagementReported, record: DeadLetter['record'], traceparent: string | null): void {
    const draft = this.drafts.get(sequenceId)!
    if (report.workspaceId !== draft.head.workspaceId) {
      this.letters.push({ record, reason: 'wrong_workspace', detail: `the message is not one of workspace ${report.workspaceId}` })
      return
    }
    const [, step, channelType] = report.messageId.split('.') as [string, string, string]
    draft.traceparent ??= traceparent
    const { messageId, kind, occurredAt, source, reason, providerMessageId, detail } = report
    const refusal = this.put(draft, {
      type: 'engagement', now: this.now, messageId, step: Number(step), channelType, kind, occurredAt, source, reason, providerMessageId, detail,
      quietUntil: this.quietUntilOf(draft.head),
    })
    if (refusal) this.letters.push({ record, reason: refusal.reason, detail: refusal.detail })
  }

  private fire(timer: TimerRow): void {
    const draft = this.drafts.get(timer.sequenceId)
    // It fired: its row goes, whatever comes of it.
    this.clearTimers.push(timer)
    if (draft) this.put(draft, { type: 'timer', now: this.now, note: this.inputs.note, quietUntil: this.quietUntilOf(draft.head) })
  }

  private quietUntilOf({ workspaceId, userId }: Head): number | null {
    return this.quiet.size === 0 ? null : (this.quiet.get(userKey(workspaceId, userId)) ?? null)
  }

  private put(draft: Draft, input: SequenceInput): { reason: string; detail: string } | null {
    const decision = decide(draft.state, input)
    if (isRefusal(decision)) return decision
    for (const event of decision) {
      for (const effect of react(draft.state, event)) draft.effects.push(effect)
      draft.state = evolve(draft.state, event, this.now)
      draft.events.push(event)
    }
    return null
  }

  // ── Storing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async store(cursor: Cursor, due: readonly TimerRow[]): Promise<TurnResult> {
    const { tx, inputs, partition } = this
    const changed = [...this.drafts.values()].filter(({ events }) => events.length > 0)
    let position = this.position
    const changes: CommittedChange[] = changed.map((draft) => {
      const { head, before, events, effects, variables, traceparent, state } = draft
      const data = encodeChange({ recordedAt: this.now, events })
      const ended = state.status === 'ended' && before?.state.status !== 'ended'
      return { head, version: (before?.version ?? 0) + 1, position: ++position, data, effects, variables, traceparent, ended }
    })
    await insertChanges(tx, partition, changes.map(({ head, version, position: place, data }) => ({ ...head, version, position: place, data })))
    const set = this.moveTimers(due)
    await replaceTimers(tx, partition, this.clearTimers, set)
    await endHeads(tx, changed.flatMap(({ head, state, before }) =>
      state.status === 'ended' && before?.state.status !== 'ended' ? [{ sequenceId: head.sequenceId, outcome: state.outcome }] : []))
    await insertVariables(tx, changed.flatMap(({ head, before, variables, state }) =>
      before === null && variables !== null && state.status === 'running' ? [{ sequenceId: head.sequenceId, variables }] : []))
    await deleteVariables(tx, inputs.forget)
    await moveCursor(tx, partition, {
      sendsOffset: Math.max(cursor.sendsOffset, inputs.sendsOffset), engagementsOffset: Math.max(cursor.engagementsOffset, inputs.engagementsOffset),
      logPosition: position, publishedPosition: Math.max(cursor.publishedPosition, inputs.publishedPosition),
    })
    return {
      changes, logPosition: position, more: this.more,
      remembered: [...this.drafts.values()].map(({ head, state, before, events, variables, requestedAt }) =>
        ({ head, state, version: (before?.version ?? 0) + (events.length > 0 ? 1 : 0), variables, requestedAt })),
      nextDueAt: set.reduce<number | null>((least, { dueAt }) => (least === null ? dueAt : Math.min(least, dueAt)), null),
      latenessMs: due.map(({ dueAt }) => this.now - dueAt),
    }
  }

  /** Every running sequence has exactly one timer, which follows from its state. */
  private moveTimers(due: readonly TimerRow[]): TimerRow[] {
    const fired = new Set(due.map(({ sequenceId }) => sequenceId))
    const set: TimerRow[] = []
    for (const { head: { sequenceId }, timerBefore, state } of this.drafts.values()) {
      const after = timerOf(state)
      const same = timerBefore?.dueAt === after?.dueAt && timerBefore?.step === after?.step
      if (same && !fired.has(sequenceId)) continue
      if (timerBefore && !fired.has(sequenceId)) this.clearTimers.push({ sequenceId, ...timerBefore })
      if (after) set.push({ sequenceId, ...after })
    }
    return set
  }
}

const targetsOf = ({ workspaceId, sequenceId, sendId, userId, campaignId }: Pick<Head, 'workspaceId' | 'sequenceId' | 'sendId' | 'userId' | 'campaignId'>): Target[] => [
  { workspaceId, scope: 'sequence', id: sequenceId },
  { workspaceId, scope: 'send', id: sendId },
  { workspaceId, scope: 'user', id: userId },
  ...(campaignId === null ? [] : [{ workspaceId, scope: 'campaign' as const, id: campaignId }]),
]

/** Scope `user` covers what was asked for at or before the cancel: a person who comes back may be sent to again. */
const covers = (scope: Target['scope'], cancelledAt: number, requestedAt: number | null): boolean =>
  scope !== 'user' || requestedAt === null || requestedAt <= cancelledAt

function isCancelled(head: Head, requestedAt: number | null, tombstones: ReadonlyMap<string, number>): boolean {
  if (tombstones.size === 0) return false
  return targetsOf(head).some((target) => {
    const cancelledAt = tombstones.get(targetKey(target))
    return cancelledAt !== undefined && covers(target.scope, cancelledAt, requestedAt)
  })
}

/** What is remembered of a sequence as loaded: its history folded. */
export function recall({ head, variables, changes }: LoadedSequence): CachedSequence {
  let state: Sequence = notStarted
  let requestedAt: number | null = null
  for (const { data } of changes) {
    const { recordedAt, events } = decodeChange(data)
    for (const event of events) {
      if (event.type === 'SequenceStarted') requestedAt = event.requestedAt
      state = evolve(state, event, recordedAt)
    }
  }
  return { head, state, version: changes[changes.length - 1]!.version, variables, requestedAt }
}
