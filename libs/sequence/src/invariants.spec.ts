// What must hold in every life a sequence can have: random plans, reports in any order, timers early and late, quiet hours, cancels.
import fc from 'fast-check'
import type { EngagementKind, EngagementRecorded, SequenceStep } from '@stepcast/contracts'
import { decide } from './decide'
import { evolve, fold } from './evolve'
import { meets, silenceGraceMs, statusOf } from './message'
import { react } from './react'
import { isRefusal, notStarted } from './sequence'
import type { Change, ChannelType, Effect, SequenceEvent, SequenceInput, StartInput } from './sequence'
import { conditionOf, windowOf } from './step'
import { minute, nothingYet, put, putUnderSuspicion, sequenceId, startedAt, startedWith } from './testing'
import type { Run } from './testing'
import { timerOf } from './timer'

// 200 lives a property keep the suite at seconds; a nightly run asks for more. fast-check prints seed and path of what it finds.
fc.configureGlobal({ numRuns: Number(process.env['STEPCAST_LIVES'] ?? 200) })

// ── Lives ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What may happen next in a life; times are relative to whatever the present is by then. */
type Turn =
  | Report
  | { readonly do: 'fire'; readonly aroundMs: number; readonly quietMs: number | null }
  | { readonly do: 'reconsider'; readonly afterMs: number; readonly quietMs: number | null }
  | { readonly do: 'cancel'; readonly afterMs: number }
  | { readonly do: 'start'; readonly afterMs: number }

interface Report {
  readonly do: 'report'
  readonly afterMs: number
  /** Which of the plan's messages. */
  readonly pick: number
  readonly kind: EngagementKind
  readonly happenedMs: number
  readonly quietMs: number | null
}

interface Life {
  readonly start: StartInput
  readonly turns: readonly Turn[]
}

const kinds: readonly EngagementKind[] = ['requested', 'delivered', 'viewed', 'clicked', 'failed', 'skipped', 'unknown']
const channels: readonly ChannelType[] = ['in_app', 'push', 'sms', 'kakao']

const minutes = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.integer({ min: 0, max: max * minute }))
const quiet = fc.option(fc.integer({ min: 1, max: 600 * minute }), { freq: 3 })

const plans: fc.Arbitrary<readonly SequenceStep[]> = fc
  .array(
    fc.record(
      {
        channels: fc.subarray([...channels], { minLength: 1 }),
        stopCondition: fc.constantFrom('delivered' as const, 'viewed' as const, 'clicked' as const),
        windowMs: fc.constantFrom(5, 10, 30, 60, 240, 1440).map((wait) => wait * minute),
      },
      { noNullPrototype: true },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((steps) => steps.map((step, index) => (index < steps.length - 1 ? step : { ...step, stopCondition: null, windowMs: null })))

const starts: fc.Arbitrary<StartInput> = fc
  .record({
    steps: plans,
    onFailure: fc.constantFrom('advance' as const, 'wait' as const),
    lateSignal: fc.constantFrom('stop' as const, 'ignore' as const),
    dispatchTtlMs: fc.constantFrom(1, 3, 60, 1440).map((ttl) => ttl * minute),
    quietMs: quiet,
    cancelled: fc.integer({ min: 0, max: 30 }).map((n) => n === 30),
  })
  .map(({ quietMs, ...rules }) => {
    const quietUntil = quietMs === null ? null : startedAt + quietMs
    return startedWith(rules.steps, { ...rules, quietUntil })(nothingYet) as StartInput
  })

/** On time most often; up to a minute early, or hours late as after an outage. */
const aroundDue = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -minute, max: 300 * minute }) },
)

const turns: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      afterMs: minutes(20),
      pick: fc.nat({ max: 15 }),
      kind: fc.constantFrom(...kinds),
      happenedMs: fc.oneof(fc.constant(0), fc.integer({ min: -90 * minute, max: 5 * minute })),
      quietMs: quiet,
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('fire' as const), aroundMs: aroundDue, quietMs: quiet }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconsider' as const), afterMs: minutes(20), quietMs: quiet }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), afterMs: minutes(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start' as const), afterMs: minutes(20) }) },
)

const lives: fc.Arbitrary<Life> = fc.record({ start: starts, turns: fc.array(turns, { maxLength: 30, size: 'max' }) })

/** The input that a turn means at this point of the life. Reports pick among all messages of the plan, commanded or not. */
function inputOf(life: Life, { state, now }: Run, turn: Turn): SequenceInput {
  const until = (at: number, quietMs: number | null): number | null => (quietMs === null ? null : at + quietMs)
  switch (turn.do) {
    case 'report': {
      const messages = life.start.steps.flatMap((step, index) => step.channels.map((channelType) => ({ step: index + 1, channelType })))
      const { step, channelType } = messages[turn.pick % messages.length]!
      const at = now + turn.afterMs
      return {
        type: 'engagement',
        now: at,
        messageId: `${sequenceId}.${step}.${channelType}`,
        step,
        channelType,
        kind: turn.kind,
        occurredAt: at + turn.happenedMs,
        source: 'test',
        reason: null,
        providerMessageId: null,
        detail: {},
        quietUntil: until(at, turn.quietMs),
      }
    }
    case 'fire': {
      const at = Math.max(now, (timerOf(state)?.dueAt ?? now) + turn.aroundMs)
      return { type: 'timer', now: at, note: null, quietUntil: until(at, turn.quietMs) }
    }
    case 'reconsider': {
      const at = now + turn.afterMs
      return { type: 'reconsider', now: at, quietUntil: until(at, turn.quietMs) }
    }
    case 'cancel':
      return { type: 'cancel', now: now + turn.afterMs }
    case 'start':
      return { ...life.start, now: now + turn.afterMs }
  }
}

/** Lives the life to its last turn. */
const lived = (life: Life): Run => life.turns.reduce((run, turn) => put(run, inputOf(life, run, turn)), put(nothingYet, life.start))

/** Every moment of the life. */
function moments(life: Life): readonly Run[] {
  const runs = [put(nothingYet, life.start)]
  for (const turn of life.turns) runs.push(put(runs.at(-1)!, inputOf(life, runs.at(-1)!, turn)))
  return runs
}

const always = (property: (life: Life) => void): void => fc.assert(fc.property(lives, property))

const eventsOf = (changes: readonly Change[]): readonly SequenceEvent[] => changes.flatMap(({ events }) => events)
type Of<T> = Extract<SequenceEvent, { readonly type: T }>
const of = <T extends SequenceEvent['type']>(events: readonly SequenceEvent[], type: T): ReadonlyArray<Of<T>> =>
  events.filter((event): event is Of<T> => event.type === type)

const named = (commands: readonly Effect[], type: Effect['type']): readonly string[] =>
  commands.filter((command) => command.type === type).map(({ step, channelType }) => `${step}.${channelType}`)
const sends = (commands: readonly Effect[]): readonly string[] => named(commands, 'send')

/** Each fact about a message that was recorded, by name. */
const factsOf = (changes: readonly Change[]): readonly string[] =>
  of(eventsOf(changes), 'EngagementRecorded').map(({ messageId, kind }) => `${messageId} ${kind}`)

const expectEachOnce = (names: readonly string[]): void => expect([...new Set(names)]).toEqual(names)

// ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────────────────────

describe('1. commands', () => {
  it('each channel of a step is commanded at most once', () => always((life) => expectEachOnce(sends(lived(life).commands))))

  it('step n+1 is never commanded or deferred before step n ended', () =>
    always((life) => {
      const over = new Set<number>([0])
      for (const event of eventsOf(lived(life).changes)) {
        if (event.type === 'StepEnded') over.add(event.step)
        if (event.type !== 'StepCommanded' && event.type !== 'StepDeferred') continue
        expect(over.has(event.step - 1)).toBe(true)
        expect(over.has(event.step)).toBe(false)
      }
    }))

  it('a command that its step leaves unanswered, or possibly sent before its window is over, is withdrawn, once, and no other is', () =>
    always((life) => {
      const { changes, commands } = lived(life)
      const unanswered = new Map<string, number>()
      const possiblySent = new Set<string>()
      const expected: string[] = []
      for (const [event, recordedAt] of changes.flatMap((change) => change.events.map((event) => [event, change.recordedAt] as const))) {
        if (event.type === 'StepCommanded') event.channels.forEach((channel) => unanswered.set(`${event.step}.${channel}`, event.expiresAt))
        if (event.type === 'EngagementRecorded') {
          const message = `${event.step}.${event.channelType}`
          const isInTime = Math.min(event.occurredAt, recordedAt) < (unanswered.get(message) ?? 0) + silenceGraceMs
          unanswered.delete(message)
          // What was possibly sent cannot be skipped.
          if (event.kind !== 'skipped') possiblySent.delete(message)
          if (event.kind === 'unknown' && isInTime) possiblySent.add(message)
        }
        if (event.type !== 'StepEnded') continue
        const left = [...unanswered.keys(), ...(['completed', 'waitElapsed'].includes(event.reason) ? [] : possiblySent)]
        expected.push(...left.filter((message) => message.startsWith(`${event.step}.`)))
      }
      expect([...named(commands, 'withdraw')].sort()).toEqual([...expected].sort())
    }))
})

describe('2. stop conditions', () => {
  it('step n+1 is never commanded when the stop condition of step n was recorded before it ended', () =>
    always((life) => {
      const { changes } = lived(life)
      const met = new Set<number>()
      const over = new Set<number>()
      for (const event of eventsOf(changes)) {
        if (event.type === 'EngagementRecorded' && !over.has(event.step) && meetsOwn(life, event)) met.add(event.step)
        if (event.type === 'StepEnded') over.add(event.step)
        if (event.type === 'StepCommanded' || event.type === 'StepDeferred') expect(met.has(event.step - 1)).toBe(false)
      }
    }))

  it('with lateSignal stop, nothing is commanded once the stop condition of any step was recorded', () =>
    always((life) => {
      fc.pre(life.start.lateSignal === 'stop')
      let met = false
      for (const event of eventsOf(lived(life).changes)) {
        if (event.type === 'EngagementRecorded' && meetsOwn(life, event)) met = true
        if (event.type === 'StepCommanded' || event.type === 'StepDeferred') expect(met).toBe(false)
      }
    }))

  it('a sequence stopped by a step says which engagement of that step met its condition', () =>
    always((life) => {
      const events = eventsOf(lived(life).changes)
      for (const { outcome, step, engagement } of of(events, 'SequenceEnded')) {
        const meeting = of(events, 'EngagementRecorded').filter((event) => event.step === step && event.kind === engagement)
        expect(meeting.some((event) => meetsOwn(life, event))).toBe(outcome === 'stopped')
      }
    }))

  const meetsOwn = ({ start }: Life, event: EngagementRecorded): boolean => meets(event.kind, conditionOf(start, event.step))
})

describe('3. repetition and order', () => {
  it('any input repeated any number of times equals once', () =>
    fc.assert(
      fc.property(lives, fc.integer({ min: 1, max: 3 }), (life, times) => {
        let once = put(nothingYet, life.start)
        let often = put(nothingYet, life.start)
        for (const turn of life.turns) {
          const input = inputOf(life, once, turn)
          once = put(once, input)
          for (let n = 0; n <= times; n += 1) often = put(often, input)
        }
        expect({ state: often.state, changes: often.changes, commands: often.commands }).toEqual({
          state: once.state,
          changes: once.changes,
          commands: once.commands,
        })
      }),
    ))

  it('the whole past may come again at any time and says nothing new', () =>
    always((life) => {
      const { changes, inputs, state, now } = lived(life)
      const known = new Set(factsOf(changes))
      for (const input of inputs) {
        const repeated = input.type === 'start' || (input.type === 'engagement' && known.has(`${input.messageId} ${input.kind}`))
        if (repeated) expect(decide(state, { ...input, now })).toEqual([])
      }
    }))

  it('each kind is recorded once per message', () => always((life) => expectEachOnce(factsOf(lived(life).changes))))

  it('engagements of distinct facts commute in status', () => {
    const fact = fc.tuple(fc.constantFrom(...channels), fc.constantFrom(...kinds))
    const facts = fc.uniqueArray(fact, { selector: ([channel, kind]) => `${channel} ${kind}` })
    const shuffled = facts.chain((some) => fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length })))
    fc.assert(
      fc.property(starts, shuffled, (start, [some, others]) => {
        fc.pre(!start.cancelled)
        const statuses = (order: typeof some): readonly string[] => {
          const run = order.reduce(
            (sofar, [channelType, kind]) =>
              put(sofar, {
                type: 'engagement',
                now: startedAt,
                messageId: `${sequenceId}.1.${channelType}`,
                step: 1,
                channelType,
                kind,
                occurredAt: startedAt,
                source: 'test',
                reason: null,
                providerMessageId: null,
                detail: {},
                quietUntil: null,
              }),
            put(nothingYet, { ...start, quietUntil: null }),
          )
          const messages = run.state.status === 'notStarted' ? [] : (run.state.entered[0]?.messages ?? [])
          return messages.map((message) => `${message.channelType} ${statusOf(message)}`)
        }
        expect(statuses(others)).toEqual(statuses(some))
      }),
    )
  })

  it('a status never regresses', () =>
    always((life) => {
      const order = ['deferred', 'commanded', 'skipped', 'unknown', 'requested', 'failed', 'delivered', 'viewed', 'clicked']
      const furthest = new Map<string, number>()
      for (const { state } of moments(life)) {
        for (const { step, messages } of state.status === 'notStarted' ? [] : state.entered) {
          for (const message of messages) {
            const name = `${step}.${message.channelType}`
            const rank = order.indexOf(statusOf(message))
            expect(rank).toBeGreaterThanOrEqual(furthest.get(name) ?? 0)
            furthest.set(name, rank)
          }
        }
      }
    }))
})

describe('4. replay', () => {
  it('the core is pure: asked twice it answers the same, mutates nothing, and every fact has a sentence', () =>
    always((life) => {
      let run = putUnderSuspicion(nothingYet, life.start)
      for (const turn of life.turns) run = putUnderSuspicion(run, inputOf(life, run, turn))
    }))

  it('fold(events) equals the live state', () =>
    always((life) => {
      const { changes, state } = lived(life)
      expect(fold(changes)).toEqual(state)
      expect(fold(JSON.parse(JSON.stringify(changes)) as Change[])).toEqual(state)
    }))

  it('publishing the log again derives the same commands', () =>
    always((life) => {
      const { changes, commands } = lived(life)
      const again: Effect[] = []
      let state = notStarted
      for (const { recordedAt, events } of changes) {
        for (const event of events) {
          again.push(...react(state, event))
          state = evolve(state, event, recordedAt)
        }
      }
      expect(again).toEqual(commands)
    }))

  it('a crash at any point, then a retry from the log, gives the same changes and commands', () =>
    fc.assert(
      fc.property(lives, fc.nat(), (life, crash) => {
        const whole = lived(life)
        const cut = crash % whole.inputs.length
        const before = whole.inputs.slice(0, cut).reduce(put, nothingYet)
        // What was under way is lost; the log is what remains, and every input that was not committed comes again.
        const recovered = whole.inputs.slice(cut).reduce(put, { ...before, state: fold(before.changes) })
        expect({ changes: recovered.changes, commands: recovered.commands }).toEqual({ changes: whole.changes, commands: whole.commands })
      }),
    ))

  it('inputs that share one turn, all at its time, leave one change that folds to the same state', () =>
    always((life) => {
      const { inputs } = lived(life)
      const now = Math.max(...inputs.map((input) => input.now))
      const events: SequenceEvent[] = []
      let state = notStarted
      for (const input of inputs) {
        const decision = decide(state, { ...input, now })
        if (isRefusal(decision)) continue
        for (const event of decision) {
          events.push(event)
          state = evolve(state, event, now)
        }
      }
      expect(fold([{ recordedAt: now, events }])).toEqual(state)
    }))
})

describe('5. every sequence ends', () => {
  it('by the sum of its windows, deferrals and dispatch deadlines, if timers fire on time', () =>
    always((life) => {
      let run = put(nothingYet, life.start)
      for (const turn of life.turns) {
        const input = inputOf(life, run, turn)
        const timer = timerOf(run.state)
        const due = timer !== null && timer.dueAt <= input.now
        run = put(run, due ? { type: 'timer', now: Math.max(run.now, timer.dueAt), note: null, quietUntil: null } : input)
      }
      run = drained(run)
      const { steps, dispatchTtlMs } = life.start
      const deferralsMs = run.changes.flatMap(({ recordedAt, events }) => of(events, 'StepDeferred').map(({ until }) => until - recordedAt))
      const stepsMs = steps.map((_, index) => (windowOf(life.start, index + 1) ?? 0) + dispatchTtlMs + silenceGraceMs)
      const endedAt = run.changes.find(({ events }) => events.some(({ type }) => type === 'SequenceEnded'))?.recordedAt
      expect(endedAt).toBeLessThanOrEqual(startedAt + sum(deferralsMs) + sum(stepsMs))
    }))

  it('also after an outage, from whatever state it was in', () => always((life) => expect(drained(lived(life)).state.status).toBe('ended')))

  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

  /** Lets timers alone do the rest. Each step needs a timer per deferral and one for its end, so 16 are plenty. */
  const drained = (run: Run): Run => {
    let left = 16
    while (run.state.status === 'running' && left-- > 0) {
      run = put(run, { type: 'timer', now: Math.max(run.now, timerOf(run.state)!.dueAt), note: null, quietUntil: null })
    }
    return run
  }
})

describe('6. no orphans', () => {
  it('a running sequence has exactly one live timer, of its current step; any other has none', () =>
    always((life) => {
      for (const { state } of moments(life)) {
        const timer = timerOf(state)
        if (state.status === 'running') {
          expect(timer?.step).toBe(state.step)
          expect(Number.isFinite(timer?.dueAt)).toBe(true)
        } else expect(timer).toBeNull()
      }
    }))

  it('a timer that comes due does something, so none comes due for ever; before that it does nothing', () =>
    always((life) => {
      for (const { state, now } of moments(life)) {
        const timer = timerOf(state)
        if (timer === null) continue
        const fire = (at: number): unknown => decide(state, { type: 'timer', now: at, note: null, quietUntil: null })
        expect(fire(Math.max(now, timer.dueAt))).not.toEqual([])
        expect(fire(timer.dueAt - 1)).toEqual([])
      }
    }))
})

describe('7. a finished sequence', () => {
  it('commands nothing, and only engagements and regrets follow its end', () =>
    always((life) => {
      const events = eventsOf(lived(life).changes)
      const end = events.findIndex(({ type }) => type === 'SequenceEnded')
      const after = end < 0 ? [] : events.slice(end + 1)
      expect(after.filter(({ type }) => type !== 'EngagementRecorded' && type !== 'EscalationRegretted')).toEqual([])
    }))

  it('keeps its outcome', () =>
    always((life) => {
      const outcomes = moments(life).flatMap(({ state }) => (state.status === 'ended' ? [state.outcome] : []))
      expect(new Set(outcomes).size).toBeLessThanOrEqual(1)
    }))

  it('is exhausted exactly if anything was ever sent, where nothing stopped or cancelled it', () =>
    always((life) => {
      const events = eventsOf(lived(life).changes)
      const end = events.findIndex(({ type }) => type === 'SequenceEnded')
      const [sequenceEnded] = of(events, 'SequenceEnded')
      fc.pre(sequenceEnded?.outcome === 'exhausted' || sequenceEnded?.outcome === 'unreachable')
      const sent = of(events.slice(0, end), 'EngagementRecorded').some(({ kind }) => kind !== 'failed' && kind !== 'skipped')
      expect(sequenceEnded?.outcome).toBe(sent ? 'exhausted' : 'unreachable')
    }))
})

describe('8. cancel recorded first', () => {
  it('no later command, whatever comes in', () =>
    fc.assert(
      fc.property(lives, fc.nat(), (life, when) => {
        const runs = moments(life)
        const before = runs[when % runs.length]!
        const cancelled = put(before, { type: 'cancel', now: before.now })
        const after = life.turns.reduce((run, turn) => put(run, inputOf(life, run, turn)), cancelled)
        expect(sends(after.commands)).toEqual(sends(before.commands))
      }),
    ))

  it('a child born cancelled enters no step', () =>
    always((life) => {
      const run = lived({ ...life, start: { ...life.start, cancelled: true } })
      expect(run.commands).toEqual([])
      expect(eventsOf(run.changes).map(({ type }) => type)).toEqual(['SequenceStarted', 'SequenceEnded'])
    }))
})

describe('9. a template edit', () => {
  it('never alters a running sequence: its plan is what it started with', () =>
    fc.assert(
      fc.property(lives, starts, (life, edited) => {
        for (const { state, now } of moments(life)) {
          if (state.status === 'notStarted') throw new Error('a started sequence has a plan')
          const { steps, onFailure, lateSignal, dispatchTtlMs } = life.start
          expect(state.plan).toEqual({ steps, onFailure, lateSignal, dispatchTtlMs })
          expect(decide(state, { ...edited, now })).toEqual([])
        }
      }),
    ))
})

describe('10. counters conserve', () => {
  it('every step entered is the running one or ended in exactly one of the eight ways', () =>
    always((life) => {
      const { changes, state } = lived(life)
      const events = eventsOf(changes)
      const entered = new Set([...of(events, 'StepCommanded'), ...of(events, 'StepDeferred')].map(({ step }) => step))
      const over = of(events, 'StepEnded').map(({ step }) => String(step))
      expectEachOnce(over)
      expect(entered.size).toBe(over.length + (state.status === 'running' ? 1 : 0))
      expect([...entered].sort()).toEqual([...entered].map((_, index) => index + 1))
    }))

  it('every sequence started is running or ended in exactly one of the four ways', () =>
    always((life) => {
      const { changes, state } = lived(life)
      expect(of(eventsOf(changes), 'SequenceStarted')).toHaveLength(1)
      expect(of(eventsOf(changes), 'SequenceEnded')).toHaveLength(state.status === 'running' ? 0 : 1)
    }))

  it('a step is regretted at most once, after it ended, and only for later steps that were commanded', () =>
    always((life) => {
      const over = new Set<number>()
      const commanded = new Set<number>()
      const regretted: string[] = []
      for (const event of eventsOf(lived(life).changes)) {
        if (event.type === 'StepEnded') over.add(event.step)
        if (event.type === 'StepCommanded') commanded.add(event.step)
        if (event.type !== 'EscalationRegretted') continue
        regretted.push(String(event.step))
        expect(over.has(event.step)).toBe(true)
        expect(event.lateByMs).toBeGreaterThanOrEqual(0)
        expect(event.laterSteps.length).toBeGreaterThan(0)
        for (const later of event.laterSteps) expect(later > event.step && commanded.has(later)).toBe(true)
      }
      expectEachOnce(regretted)
    }))

  it('facts of one decision stand in their order: engagement, regret, end of the step, then what follows', () =>
    always((life) => {
      const order: readonly SequenceEvent['type'][] = [
        'SequenceStarted',
        'EngagementRecorded',
        'EscalationRegretted',
        'StepEnded',
        'StepCommanded',
        'StepDeferred',
        'SequenceEnded',
      ]
      for (const { events } of lived(life).changes) {
        const places = events.map(({ type }) => order.indexOf(type))
        expect(places).toEqual([...new Set(places)].sort((a, b) => a - b))
      }
    }))
})

it('the lives are worth living: they reach every outcome, every way a step ends, regrets, deferrals and refusals', () => {
  const seen = new Set<string>()
  for (const life of fc.sample(lives, { numRuns: 1_000, seed: 7 })) {
    const run = lived(life)
    if (run.refusals.length > 0) seen.add('refused')
    for (const event of eventsOf(run.changes)) {
      seen.add(event.type)
      if (event.type === 'StepEnded') seen.add(event.reason)
      if (event.type === 'SequenceEnded') seen.add(event.outcome)
    }
  }
  expect([...seen].sort()).toEqual([
    'EngagementRecorded',
    'EscalationRegretted',
    'SequenceEnded',
    'SequenceStarted',
    'StepCommanded',
    'StepDeferred',
    'StepEnded',
    'cancelled',
    'completed',
    'exhausted',
    'expired',
    'failed',
    'refused',
    'skipped',
    'stopped',
    'superseded',
    'unreachable',
    'waitElapsed',
  ])
})
