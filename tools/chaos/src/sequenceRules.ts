// What must hold of each sequence by its own events, written down anew: the core that made them is not asked.
import type { EngagementRecorded, SequenceChanged, SequenceStarted, StepEnded } from '@stepcast/contracts'
import { meets, type Breach } from './history'

/** A window that ran out. */
export interface Elapsed {
  readonly sequenceId: string
  readonly workspaceId: string
  readonly step: number
  readonly dueAt: number
  /** When its timer could fire at the earliest: a window may have run out before its beginning was known. */
  readonly fireableAt: number
  readonly recordedAt: number
  readonly note: string | null
}

/** A message as commanded. */
export interface Commanded {
  readonly sequenceId: string
  readonly messageId: string
  readonly workspaceId: string
  readonly userId: string
  readonly step: number
  readonly channelType: string
  readonly commandedAt: number
  readonly expiresAt: number
  /** Kinds recorded, in order. */
  readonly kinds: string[]
  /** When the first of them was recorded; null: nothing was. */
  answeredAt: number | null
}

/** What walking through a sequence's story found. */
export interface Walk {
  readonly started: SequenceStarted | null
  readonly startedAt: number
  readonly ended: string | null
  readonly messages: ReadonlyMap<string, Commanded>
  readonly elapsed: readonly Elapsed[]
  /** When the window of the step under way could elapse at the earliest; null: none is running. */
  readonly waiting: number | null
  /** How each entered step stands. */
  readonly steps: readonly { readonly reason: string | null; readonly regretted: boolean }[]
  readonly breaches: readonly Breach[]
}

const isSent = (kind: string): boolean => kind !== 'failed' && kind !== 'skipped'

/** Walks through a story from its first event to its last. */
export function walk(story: readonly SequenceChanged[]): Walk {
  const walker = new Walker(story[0]!)
  for (const change of story) walker.take(change)
  return walker
}

class Walker implements Walk {
  started: SequenceStarted | null = null
  startedAt = 0
  ended: string | null = null
  readonly messages = new Map<string, Commanded>()
  readonly elapsed: Elapsed[] = []
  readonly steps: { reason: string | null; regretted: boolean; sentAt: number | null; sentRecordedAt: number }[] = []
  readonly breaches: Breach[] = []
  /** What the rest of the change must hold. */
  private owed: { readonly type: 'StepEnded' | 'SequenceEnded'; readonly why: string } | null = null

  constructor(private readonly first: SequenceChanged) {}

  get waiting(): number | null {
    const step = this.steps.at(-1)
    if (step === undefined || step.reason !== null || step.sentAt === null) return null
    const windowMs = this.started?.steps[this.steps.length - 1]?.windowMs ?? null
    return windowMs === null ? null : Math.max(step.sentAt + windowMs, step.sentRecordedAt)
  }

  take(change: SequenceChanged): void {
    if (change.templateVersion !== this.first.templateVersion || change.workspaceId !== this.first.workspaceId) {
      this.breach('a template edit never alters a running sequence', 'its workspace or template version changed on the way')
    }
    for (const event of change.events) {
      if (this.owed?.type === event.type) this.owed = null
      this.event(change, event)
    }
    if (this.owed !== null) this.breach('never commanded when the stop condition was recorded before', this.owed.why)
    this.owed = null
  }

  private event(change: SequenceChanged, event: SequenceChanged['events'][number]): void {
    const afterEnd = event.type === 'EngagementRecorded' || event.type === 'EscalationRegretted'
    if (this.ended !== null && !afterEnd) this.breach('a finished sequence commands nothing', `${event.type} after SequenceEnded`)
    if (this.started === null && event.type !== 'SequenceStarted')
      this.breach('one sequence for each send', `${event.type} before SequenceStarted`)
    switch (event.type) {
      case 'SequenceStarted':
        if (this.started !== null) this.breach('one sequence for each send', 'SequenceStarted twice')
        this.started = event
        this.startedAt = change.recordedAt
        break
      case 'StepDeferred':
        this.enter(event.step)
        break
      case 'StepCommanded':
        this.enter(event.step)
        for (const channel of event.channels) this.command(change, event, channel)
        break
      case 'EngagementRecorded':
        this.record(change, event)
        break
      case 'StepEnded':
        this.end(change, event)
        break
      case 'EscalationRegretted':
        if (this.steps[event.step - 1]?.regretted === true)
          this.breach('at most one regret per step', `step ${event.step} was regretted twice`)
        if (this.steps[event.step - 1]) this.steps[event.step - 1]!.regretted = true
        break
      case 'SequenceEnded':
        if (this.steps.at(-1)?.reason === null) this.breach('a sequence ends with its step', 'SequenceEnded while a step runs')
        this.ended = event.outcome
        break
    }
  }

  private enter(step: number): void {
    if (step === this.steps.length && this.steps.at(-1)!.reason === null) return
    const inTurn = step === this.steps.length + 1 && this.steps.at(-1)?.reason !== null
    if (!inTurn) this.breach('step n+1 is never commanded before step n ended', `step ${step} was entered after step ${this.steps.length}`)
    this.steps[step - 1] ??= { reason: null, regretted: false, sentAt: null, sentRecordedAt: 0 }
  }

  private command(
    change: SequenceChanged,
    { step, commandedAt, expiresAt }: { step: number; commandedAt: number; expiresAt: number },
    channelType: string,
  ): void {
    const { sequenceId, workspaceId, userId } = change
    const messageId = `${sequenceId}.${step}.${channelType}`
    if (this.messages.has(messageId)) this.breach('each channel of a step is commanded once', `${messageId} was commanded twice`)
    this.messages.set(messageId, {
      sequenceId,
      messageId,
      workspaceId,
      userId,
      step,
      channelType,
      commandedAt,
      expiresAt,
      kinds: [],
      answeredAt: null,
    })
  }

  private record({ recordedAt }: SequenceChanged, { messageId, step, kind, occurredAt }: EngagementRecorded): void {
    const message = this.messages.get(messageId)
    if (message === undefined)
      return this.breach('what was never commanded is not recorded', `${kind} of ${messageId}, which was never commanded`)
    if (message.kinds.includes(kind)) this.breach('any input repeated equals once', `${kind} of ${messageId} was recorded twice`)
    message.kinds.push(kind)
    message.answeredAt ??= recordedAt
    const entered = this.steps[step - 1]!
    if (isSent(kind) && entered.sentAt === null) {
      entered.sentAt = Math.max(message.commandedAt, Math.min(occurredAt, recordedAt))
      entered.sentRecordedAt = recordedAt
    }
    if (this.ended !== null || !meets(kind, this.conditionOf(step))) return
    if (step === this.steps.length && entered.reason === null)
      this.owed = { type: 'StepEnded', why: `${kind} of step ${step} was recorded and did not stop it` }
    else if (this.started?.lateSignal === 'stop')
      this.owed = { type: 'SequenceEnded', why: `late ${kind} of step ${step} was recorded and did not stop the sequence` }
  }

  private end({ sequenceId, workspaceId, recordedAt }: SequenceChanged, { step, reason, note }: StepEnded): void {
    const entered = this.steps[step - 1]
    if (entered === undefined || entered.reason !== null || step !== this.steps.length)
      return this.breach('a step ends once', `step ${step} ended out of turn`)
    entered.reason = reason
    if (reason !== 'waitElapsed') return
    const windowMs = this.started?.steps[step - 1]?.windowMs ?? null
    const condition = this.conditionOf(step)
    const met = [...this.messages.values()].find((message) => message.step === step && message.kinds.some((kind) => meets(kind, condition)))
    if (met)
      this.breach(
        'never commanded when the stop condition was recorded before',
        `step ${step} elapsed though ${met.messageId} had met its condition`,
      )
    if (windowMs === null || entered.sentAt === null)
      return this.breach('a window elapses after its time', `step ${step} has no window that could elapse`)
    const dueAt = entered.sentAt + windowMs
    if (recordedAt < dueAt) this.breach('a window elapses after its time', `step ${step} ended ${dueAt - recordedAt} ms before its window`)
    this.elapsed.push({ sequenceId, workspaceId, step, dueAt, fireableAt: Math.max(dueAt, entered.sentRecordedAt), recordedAt, note })
  }

  private conditionOf(step: number): string | null {
    const steps = this.started?.steps ?? []
    return step < steps.length ? (steps[step - 1]?.stopCondition ?? null) : null
  }

  private breach(promise: string, what: string): void {
    this.breaches.push({ promise, what, sequenceId: this.first.sequenceId })
  }
}
