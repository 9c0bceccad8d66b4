// The rules of the product, case by case: one describe per row of its table, then every row of the engine's table of traces.
import type { EngagementKind } from '@stepcast/contracts'
import { upcast } from './upcast'
import { fold } from './evolve'
import { statusOf } from './message'
import { timerOf } from './timer'
import type { Effect, Message, Sequence } from './sequence'
import {
  at,
  cancelled,
  clicked,
  commanded,
  deferred,
  delivered,
  elapsed,
  ended,
  failed,
  given,
  last,
  live,
  minute,
  nothingYet,
  occurredAt,
  over,
  quietUntil,
  receiptsBehind,
  reconsidered,
  recorded,
  regretted,
  requested,
  sequenceId,
  skipped,
  started,
  startedAt,
  startedWith,
  step,
  storyOf,
  timer,
  traceOf,
  twoSteps,
  unknown,
  viewed,
} from './testing'

const threeSteps = [step('viewed', 5, 'in_app'), step('clicked', 10, 'push'), last('sms')]
const bothThenSms = [step('clicked', 5, 'in_app', 'push'), last('sms')]
const broadcast = startedWith([last('in_app', 'push', 'sms', 'kakao')])

const words = (effects: readonly Effect[]): readonly string[] =>
  effects.map((effect) => `${effect.type} ${effect.step}.${effect.channelType}`)
const messageOf = (state: Sequence, stepNumber: number, index = 0): Message => {
  const message = state.status === 'notStarted' ? undefined : state.entered[stepNumber - 1]?.messages[index]
  if (message === undefined) throw new Error('no such message')
  return message
}

describe('the first step fires at once', () => {
  it('starts with its plan recorded and its first step commanded', () =>
    given()
      .when(started)
      .then(
        () => ({
          type: 'SequenceStarted',
          steps: twoSteps,
          onFailure: 'advance',
          lateSignal: 'stop',
          tag: null,
          source: 'http',
          requestedAt: null,
          dispatchTtlMs: 60 * minute,
        }),
        commanded(1, 'in_app'),
      ))

  it('asks one dispatcher per channel, and tells it deadline and window', () => {
    expect(given().when(startedWith(bothThenSms)).run.commands).toEqual([
      { type: 'send', step: 1, channelType: 'in_app', commandedAt: startedAt, expiresAt: startedAt + 60 * minute, windowMs: 5 * minute },
      { type: 'send', step: 1, channelType: 'push', commandedAt: startedAt, expiresAt: startedAt + 60 * minute, windowMs: 5 * minute },
    ])
  })

  it('the last step carries no window', () =>
    expect(given(started, requested(1)).when(elapsed(1)).run.commands.at(-1)).toMatchObject({
      step: 2,
      channelType: 'push',
      windowMs: null,
    }))

  it('a sequence without steps reaches nobody and ends', () => expect(traceOf(startedWith([]))).toBe('St Z(unreachable)'))
})

describe('rule 1: the window starts at the first requested', () => {
  it('elapses one window after it', () =>
    given(started, at(20, requested(1)))
      .when(at(25, timer))
      .then(ended(1, 'waitElapsed'), commanded(2, 'push')))

  it('a backlog at the provider never eats the window', () =>
    given(started, at(20, requested(1)))
      .when(at(24.99, timer))
      .thenNothing())

  it('counts from when it happened, not from when it was recorded', () =>
    expect(timerOf(given(started).when(at(20, occurredAt(18, requested(1)))).run.state)?.dueAt).toBe(startedAt + 23 * minute))

  it('never from before the command', () =>
    expect(timerOf(given(started).when(at(20, occurredAt(-500, requested(1)))).run.state)?.dueAt).toBe(startedAt + 5 * minute))

  it('never from the future', () =>
    expect(timerOf(given(started).when(at(20, occurredAt(900, requested(1)))).run.state)?.dueAt).toBe(startedAt + 25 * minute))

  it('a second report does not move it', () =>
    expect(timerOf(given(started, at(2, delivered(1))).when(at(3, requested(1))).run.state)?.dueAt).toBe(startedAt + 7 * minute))
})

describe('rule 2: a command that is never answered', () => {
  it('ends the step expired ten seconds after its deadline', () =>
    given(started).when(elapsed(1)).then(ended(1, 'expired'), commanded(2, 'push')))

  it('is not given up at the deadline itself', () => given(started).when(at(60, timer)).thenNothing())

  it('an answer that comes after that is only recorded', () =>
    given(started, elapsed(1))
      .when(at(61, requested(1)))
      .then(recorded(1, 'requested')))

  it('but says that something was sent: exhausted', () =>
    expect(traceOf(started, elapsed(1), at(61, requested(1)), skipped(2))).toMatch(/Z\(exhausted\)$/))

  it('an answer given in time counts, although an outage kept it from being read until after the deadline', () =>
    given(started)
      .when(at(90, occurredAt(1, requested(1))), timer)
      .then(recorded(1, 'requested', { occurredAt: startedAt + minute }), ended(1, 'waitElapsed'), commanded(2, 'push')))

  it('withdraws the command it gives up', () =>
    expect(words(given(started).when(elapsed(1)).run.commands)).toEqual(['send 1.in_app', 'withdraw 1.in_app', 'send 2.push']))
})

describe('rule 3: engagement and timer race, and what was recorded first wins', () => {
  it('engagement first: stopped, and the timer finds nothing to do', () =>
    given(started, requested(1))
      .when(at(5, viewed(1)), timer)
      .then(recorded(1, 'viewed'), ended(1, 'stopped', 'viewed'), over('stopped', 1, 'viewed')))

  it('timer first: escalated, and the engagement comes late', () =>
    given(started, requested(1))
      .when(elapsed(1), viewed(1))
      .then(
        ended(1, 'waitElapsed'),
        commanded(2, 'push'),
        recorded(1, 'viewed'),
        regretted(1, [2], 'viewed', 0),
        ended(2, 'superseded'),
        over('stopped', 1, 'viewed'),
      ))
})

describe('rule 4: an engagement of an earlier step after a later step fired', () => {
  const escalated = [startedWith(threeSteps), requested(1), elapsed(1), requested(2)]

  it('stops the running chain by the earlier step; the current step is superseded', () =>
    given(...escalated)
      .when(at(9, viewed(1)))
      .then(recorded(1, 'viewed'), regretted(1, [2], 'viewed', 4), ended(2, 'superseded'), over('stopped', 1, 'viewed')))

  it("counts only, if it does not meet that step's condition", () =>
    given(...escalated)
      .when(delivered(1))
      .then(recorded(1, 'delivered')))

  it('clicked always meets it', () =>
    given(...escalated)
      .when(clicked(1))
      .then(recorded(1, 'clicked'), regretted(1, [2], 'clicked', 0), ended(2, 'superseded'), over('stopped', 1, 'clicked')))

  it('withdraws what is unanswered', () =>
    expect(words(given(started, requested(1), elapsed(1)).when(viewed(1)).run.commands)).toEqual([
      'send 1.in_app',
      'send 2.push',
      'withdraw 2.push',
    ]))

  it('names every later step that was sent', () =>
    given(...escalated, elapsed(2), requested(3))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [2, 3], 'viewed', 10)))

  it('does not name a later step that was skipped', () =>
    given(startedWith(threeSteps), requested(1), elapsed(1), skipped(2))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [3], 'viewed', 0), ended(3, 'superseded'), over('stopped', 1, 'viewed')))

  it('does not name a later step that failed before anything was sent', () =>
    given(startedWith(threeSteps), requested(1), elapsed(1), failed(2))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [3], 'viewed', 0), ended(3, 'superseded'), over('stopped', 1, 'viewed')))

  it('does not name a later step whose dispatcher has been silent for good', () =>
    given(startedWith(threeSteps), requested(1), elapsed(1), elapsed(2), requested(3))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [3], 'viewed', 60 + 10 / 60)))

  it('is regretted once, whatever else comes in', () =>
    given(...escalated, elapsed(2), requested(3), viewed(1))
      .when(clicked(1))
      .then(recorded(1, 'clicked')))

  it('each step is regretted by itself', () =>
    given(...escalated, elapsed(2), requested(3), viewed(1))
      .when(clicked(2))
      .then(recorded(2, 'clicked'), regretted(2, [3], 'clicked', 0)))

  it('stops the chain also by a step that had failed', () =>
    given(startedWith(threeSteps), failed(1), requested(2))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [2], 'viewed', 0), ended(2, 'superseded'), over('stopped', 1, 'viewed')))

  describe('with lateSignal ignore', () => {
    const strict = [startedWith(threeSteps, { lateSignal: 'ignore' }), requested(1), elapsed(1), requested(2)]
    const strictlyDeferred = [startedWith(threeSteps, { lateSignal: 'ignore' }), requested(1), quietUntil(100, elapsed(1))]

    it('the regret is noted and nothing stops', () =>
      given(...strict)
        .when(viewed(1))
        .then(recorded(1, 'viewed'), regretted(1, [2], 'viewed', 0)))

    it('the chain goes on to its next step', () =>
      given(...strict, viewed(1))
        .when(elapsed(2))
        .then(ended(2, 'waitElapsed'), commanded(3, 'sms')))

    it('a signal that came while the later step was deferred is regretted by the next one that finds it sent', () =>
      given(...strictlyDeferred, viewed(1), elapsed(2), requested(2))
        .when(clicked(1))
        .then(recorded(1, 'clicked'), regretted(1, [2], 'clicked', 95)))
  })
})

describe('rule 5: an engagement after the sequence ended', () => {
  it('is recorded', () => given(started, requested(1), viewed(1)).when(clicked(1)).then(recorded(1, 'clicked')))

  it('is regretted, and the outcome stands', () => {
    const late = given(started, requested(1), elapsed(1), requested(2)).when(at(7, viewed(1)))
    late.then(recorded(1, 'viewed'), regretted(1, [2], 'viewed', 2))
    expect(late.run.state).toMatchObject({ status: 'ended', outcome: 'exhausted' })
  })

  it('of the last step counts only', () =>
    given(started, requested(1), elapsed(1), requested(2)).when(clicked(2)).then(recorded(2, 'clicked')))

  it('after a cancel is regretted only if a later step was sent', () =>
    given(started, requested(1), elapsed(1), cancelled, skipped(2, 'push', 'withdrawn'))
      .when(viewed(1))
      .then(recorded(1, 'viewed')))

  it('a withdrawn message that was sent after all is an escalation to regret', () =>
    given(started, requested(1), elapsed(1), cancelled, requested(2))
      .when(viewed(1))
      .then(recorded(1, 'viewed'), regretted(1, [2], 'viewed', 0)))
})

describe('rule 6: clicked without viewed or delivered', () => {
  it.each<[EngagementKind, 'delivered' | 'viewed' | 'clicked', boolean]>([
    ['delivered', 'delivered', true],
    ['delivered', 'viewed', false],
    ['delivered', 'clicked', false],
    ['viewed', 'delivered', true],
    ['viewed', 'viewed', true],
    ['viewed', 'clicked', false],
    ['clicked', 'delivered', true],
    ['clicked', 'viewed', true],
    ['clicked', 'clicked', true],
    ['requested', 'delivered', false],
    ['unknown', 'delivered', false],
  ])('%s against the condition %s: stops is %s', (kind, condition, stops) => {
    const report = { delivered, viewed, clicked, requested, unknown, failed, skipped }[kind]
    const { run } = given(startedWith([step(condition, 5, 'in_app'), last('push')])).when(report(1))
    expect(run.state.status).toBe(stops ? 'ended' : 'running')
  })

  it('the sequence says which kind was reported, not which was inferred', () =>
    given(started, requested(1))
      .when(clicked(1))
      .then(recorded(1, 'clicked'), ended(1, 'stopped', 'clicked'), over('stopped', 1, 'clicked')))

  it('the inferred kinds are not recorded, so they can still be reported', () =>
    given(started, requested(1), clicked(1)).when(viewed(1)).then(recorded(1, 'viewed')))
})

describe('rule 9: a hard failure', () => {
  it('sends the next step now', () => given(started).when(failed(1)).then(recorded(1, 'failed'), ended(1, 'failed'), commanded(2, 'push')))

  it('also when the provider had accepted the message first', () =>
    given(started, requested(1)).when(failed(1)).then(recorded(1, 'failed'), ended(1, 'failed'), commanded(2, 'push')))

  it('is no failure of someone who has engaged already', () => given(started, delivered(1)).when(failed(1)).then(recorded(1, 'failed')))

  it('delivered after it is only recorded, if that is not the condition', () =>
    given(startedWith(bothThenSms), failed(1, 'in_app'))
      .when(delivered(1, 'in_app'))
      .then(recorded(1, 'delivered', { channelType: 'in_app' })))

  it('an engagement after it stops the step, if it meets the condition', () =>
    given(startedWith(bothThenSms), failed(1, 'in_app'))
      .when(clicked(1, 'in_app'))
      .then(recorded(1, 'clicked', { channelType: 'in_app' }), ended(1, 'stopped', 'clicked'), over('stopped', 1, 'clicked')))

  describe('with onFailure wait', () => {
    const patient = startedWith(twoSteps, { onFailure: 'wait' })

    it('does not advance at once', () =>
      given(patient)
        .when(at(2, failed(1)))
        .then(recorded(1, 'failed')))

    it('sends the next step one window after it, still failed', () => {
      expect(timerOf(given(patient).when(at(2, failed(1))).run.state)?.dueAt).toBe(startedAt + 7 * minute)
      given(patient, at(2, failed(1)))
        .when(elapsed(1))
        .then(ended(1, 'failed'), commanded(2, 'push'))
    })

    it('counts from when it failed, not from when that was recorded', () =>
      expect(timerOf(given(patient).when(at(4, occurredAt(2, failed(1)))).run.state)?.dueAt).toBe(startedAt + 7 * minute))

    it('sends the next step one window after an expiry, still expired', () =>
      given(patient).when(at(60.5, timer), at(64.99, timer), at(65, timer)).then(ended(1, 'expired'), commanded(2, 'push')))

    it('counts from the last answer, by when it happened, in whatever order the answers were read', () =>
      expect(
        timerOf(
          given(startedWith(bothThenSms, { onFailure: 'wait' }), at(4, failed(1, 'in_app'))).when(at(5, occurredAt(2, failed(1, 'push'))))
            .run.state,
        )?.dueAt,
      ).toBe(startedAt + 9 * minute))

    it('a window shorter than the silence does not cut the silence short', () =>
      given(startedWith([step('viewed', 5 / 60, 'in_app'), last('push')], { onFailure: 'wait' }))
        .when(at(60 + 9 / 60, timer), at(60 + 10 / 60, timer))
        .then(ended(1, 'expired'), commanded(2, 'push')))

    it('an answer given after the silence was taken for good changes nothing', () =>
      given(patient)
        .when(at(61, requested(1)), at(65, timer))
        .then(recorded(1, 'requested', { occurredAt: startedAt + 61 * minute }), ended(1, 'expired'), commanded(2, 'push')))

    it('a message accepted first and failed later lets its window run out', () =>
      given(patient, requested(1), at(3, failed(1)))
        .when(at(5, timer))
        .then(ended(1, 'waitElapsed'), commanded(2, 'push')))

    it('the last step never waits', () =>
      given(patient, requested(1), elapsed(1)).when(failed(2)).then(recorded(2, 'failed'), ended(2, 'failed'), over('exhausted')))
  })
})

describe('rule 11: no token, no number, opted out, channel disabled', () => {
  it('sends the next step now', () =>
    given(started)
      .when(skipped(1, 'in_app', 'opted_out'))
      .then(recorded(1, 'skipped', { reason: 'opted_out' }), ended(1, 'skipped'), commanded(2, 'push')))

  it('also where a failure would wait', () =>
    given(startedWith(twoSteps, { onFailure: 'wait' }))
      .when(skipped(1))
      .then(recorded(1, 'skipped'), ended(1, 'skipped'), commanded(2, 'push')))

  it('all steps skipped: unreachable', () =>
    given(started, skipped(1)).when(skipped(2)).then(recorded(2, 'skipped'), ended(2, 'skipped'), over('unreachable')))

  it('what was accepted and then found unwanted (STOP) sends the next step now', () =>
    given(started, requested(1))
      .when(skipped(1, 'in_app', 'unsubscribed'))
      .then(recorded(1, 'skipped', { reason: 'unsubscribed' }), ended(1, 'skipped'), commanded(2, 'push')))

  it('also where a failure would wait, and in the last step, which ends as sent', () => {
    given(startedWith(twoSteps, { onFailure: 'wait' }), requested(1))
      .when(skipped(1))
      .then(recorded(1, 'skipped'), ended(1, 'skipped'), commanded(2, 'push'))
    given(started, skipped(1), requested(2)).when(skipped(2)).then(recorded(2, 'skipped'))
  })

  it('what reached the person, or was possibly sent, cannot be skipped', () => {
    given(started, requested(1), delivered(1)).when(skipped(1)).then(recorded(1, 'skipped'))
    given(started, unknown(1)).when(skipped(1)).then(recorded(1, 'skipped'))
  })
})

describe("rule 12: the provider's outcome is unknown", () => {
  it('starts the window as if requested', () =>
    given(started, at(2, unknown(1)))
      .when(at(7, timer))
      .then(ended(1, 'waitElapsed'), commanded(2, 'push')))

  it('counts as possibly sent: exhausted, not unreachable', () =>
    given(started, skipped(1)).when(unknown(2)).then(recorded(2, 'unknown'), ended(2, 'completed'), over('exhausted')))

  it('may turn out a failure', () =>
    given(started, unknown(1)).when(failed(1)).then(recorded(1, 'failed'), ended(1, 'failed'), commanded(2, 'push')))

  it('is not sent again once the message has done its job; after its window that is for its dispatcher and an operator to say', () => {
    expect(words(given(startedWith(bothThenSms), unknown(1, 'push')).when(clicked(1, 'in_app')).run.commands)).toContain('withdraw 1.push')
    expect(words(given(started, unknown(1)).when(elapsed(1)).run.commands)).toEqual(['send 1.in_app', 'send 2.push'])
    expect(words(given(started, requested(1), elapsed(1)).when(unknown(2)).run.commands)).toEqual(['send 1.in_app', 'send 2.push'])
  })
})

describe('rule 13: duplicate, reordered and early engagements', () => {
  it.each([requested, delivered, unknown, failed, skipped])('once per message and kind', (report) =>
    given(startedWith(bothThenSms), report(1, 'push'))
      .when(report(1, 'push'), at(2, report(1, 'push')))
      .thenNothing(),
  )

  it('the same kind of another message is another fact', () =>
    given(startedWith(bothThenSms), requested(1, 'push'))
      .when(requested(1, 'in_app'))
      .then(recorded(1, 'requested', { channelType: 'in_app' })))

  it('delivered before requested starts the window, and requested is recorded after it', () =>
    expect(traceOf(startedWith(threeSteps), delivered(1), at(1, requested(1)), at(5, timer))).toBe(
      'St C(1) | E(1 delivered) | E(1 requested) | X(1 waitElapsed) C(2)',
    ))

  it('a status never regresses', () => {
    const { state } = given(startedWith(threeSteps), delivered(1)).when(requested(1), failed(1), skipped(1), unknown(1)).run
    expect(statusOf(messageOf(state, 1))).toBe('delivered')
  })

  it('a status begins with the command', () => {
    const { state } = given().when(quietUntil(9, startedWith([step('clicked', 5, 'in_app', 'sms'), last('push')]))).run
    expect([statusOf(messageOf(state, 1, 0)), statusOf(messageOf(state, 1, 1))]).toEqual(['commanded', 'deferred'])
  })

  it("one that arrives before its send is known is the shell's to keep", () => given().when(viewed(1)).thenRefused('not_started'))
  it('one for a step never commanded is refused', () => given(started).when(clicked(2)).thenRefused('step_never_commanded'))
  it('one for a step that does not exist is refused', () => given(started).when(clicked(3)).thenRefused('step_never_commanded'))
  it('one for a channel that the step does not have is refused', () =>
    given(started).when(clicked(1, 'sms')).thenRefused('unknown_channel'))
  it('one for a message that is only deferred is refused', () =>
    given(quietUntil(60, startedWith(bothThenSms)))
      .when(clicked(1, 'push'))
      .thenRefused('step_never_commanded'))
  it('one for a sequence that was born cancelled is refused', () =>
    given(startedWith(twoSteps, { cancelled: true }))
      .when(requested(1))
      .thenRefused('step_never_commanded'))
})

describe('rule 14: the plan is pinned when the sequence starts', () => {
  it('a second start with other steps changes nothing', () =>
    given(started)
      .when(startedWith(threeSteps, { onFailure: 'wait' }))
      .thenNothing())
})

describe('rule 15: cancel', () => {
  it('ends the current step and the sequence', () =>
    given(started, requested(1)).when(cancelled).then(ended(1, 'cancelled'), over('cancelled')))

  it('withdraws what is unanswered, and only that', () =>
    expect(words(given(startedWith(bothThenSms), requested(1, 'in_app')).when(cancelled).run.commands)).toEqual([
      'send 1.in_app',
      'send 1.push',
      'withdraw 1.push',
    ]))

  it('withdraws what was possibly sent, since it would be sent again (rule 12)', () => {
    expect(words(given(started, unknown(1)).when(cancelled).run.commands)).toEqual(['send 1.in_app', 'withdraw 1.in_app'])
    expect(words(given(started, unknown(1), requested(1)).when(cancelled).run.commands)).toEqual(['send 1.in_app'])
  })

  it('nothing is commanded after it', () =>
    expect(words(given(started, cancelled).when(failed(1), at(500, timer), started, cancelled).run.commands)).toEqual([
      'send 1.in_app',
      'withdraw 1.in_app',
    ]))

  it('the answer of a withdrawn command is recorded', () =>
    given(started, cancelled)
      .when(skipped(1, 'in_app', 'withdrawn'))
      .then(recorded(1, 'skipped', { reason: 'withdrawn' })))

  it('a provider call that was under way finishes and is recorded', () =>
    given(started, cancelled).when(requested(1), delivered(1)).then(recorded(1, 'requested'), recorded(1, 'delivered')))

  it('honoured by a late child: it starts cancelled and enters no step', () =>
    expect(traceOf(startedWith(twoSteps, { cancelled: true }))).toBe('St Z(cancelled)'))

  it('a deferred step is never commanded', () =>
    expect(words(given(started, requested(1), quietUntil(60, elapsed(1))).when(cancelled, at(60, timer)).run.commands)).toEqual([
      'send 1.in_app',
    ]))

  it('after the end changes nothing', () => given(started, requested(1), viewed(1)).when(cancelled).thenNothing())
  it("before the start is the shell's to remember", () => given().when(cancelled).thenNothing())
})

describe('rules 16, 17: one sequence per send and user', () => {
  it('the same send again changes nothing', () => given(started).when(started).thenNothing())
  it('also when it has ended', () => given(started, requested(1), viewed(1)).when(started).thenNothing())
})

describe('rule 19: several channels in one step', () => {
  it('are commanded together', () => expect(given().when(startedWith(bothThenSms)).run.commands).toHaveLength(2))

  it('any one of them meeting the condition stops, and the unanswered are withdrawn', () => {
    const stopped = given(startedWith(bothThenSms), requested(1, 'push')).when(clicked(1, 'push'))
    stopped.then(recorded(1, 'clicked', { channelType: 'push' }), ended(1, 'stopped', 'clicked'), over('stopped', 1, 'clicked'))
    expect(words(stopped.run.commands)).toEqual(['send 1.in_app', 'send 1.push', 'withdraw 1.in_app'])
  })

  it('the window counts from the first requested', () =>
    given(startedWith(bothThenSms), at(1, requested(1, 'push')), at(4, requested(1, 'in_app')))
      .when(at(6, timer))
      .then(ended(1, 'waitElapsed'), commanded(2, 'sms')))

  it('the window elapsing withdraws what is still unanswered', () =>
    expect(words(given(startedWith(bothThenSms), requested(1, 'push')).when(elapsed(1)).run.commands)).toEqual([
      'send 1.in_app',
      'send 1.push',
      'withdraw 1.in_app',
      'send 2.sms',
    ]))

  it('does not end early while one is unanswered', () =>
    given(startedWith(bothThenSms))
      .when(failed(1, 'push'))
      .then(recorded(1, 'failed', { channelType: 'push' })))

  it('does not end early while one can still engage', () =>
    given(startedWith(bothThenSms), requested(1, 'in_app'))
      .when(failed(1, 'push'))
      .then(recorded(1, 'failed', { channelType: 'push' })))

  it('ends early when every one answered and none can engage', () =>
    given(startedWith(bothThenSms), failed(1, 'push'))
      .when(skipped(1, 'in_app'))
      .then(recorded(1, 'skipped', { channelType: 'in_app' }), ended(1, 'failed'), commanded(2, 'sms')))

  it('ends early when the one that was sent fails afterwards', () =>
    given(startedWith(bothThenSms), requested(1, 'in_app'), skipped(1, 'push'))
      .when(failed(1, 'in_app'))
      .then(recorded(1, 'failed', { channelType: 'in_app' }), ended(1, 'failed'), commanded(2, 'sms')))

  it('a late answer of a closed one does not open it again', () =>
    given(startedWith(bothThenSms), failed(1, 'push'), requested(1, 'push'))
      .when(failed(1, 'in_app'))
      .then(recorded(1, 'failed', { channelType: 'in_app' }), ended(1, 'failed'), commanded(2, 'sms')))

  it('ends early when the one that was sent has failed and the other is silent for good, however long the window', () =>
    given(startedWith([step('clicked', 1440, 'in_app', 'push'), last('sms')]), requested(1, 'push'), failed(1, 'push'))
      .when(at(60, timer), at(61, timer))
      .then(ended(1, 'failed'), commanded(2, 'sms')))

  it('one skipped and one silent: expired', () =>
    given(startedWith(bothThenSms), skipped(1, 'push')).when(elapsed(1)).then(ended(1, 'expired'), commanded(2, 'sms')))

  it('one failed and one silent: failed', () =>
    given(startedWith(bothThenSms), failed(1, 'push')).when(elapsed(1)).then(ended(1, 'failed'), commanded(2, 'sms')))

  it('an answer of a silent channel after its deadline does not revive the step', () =>
    given(startedWith(bothThenSms), skipped(1, 'push'))
      .when(at(61, requested(1, 'in_app')))
      .then(recorded(1, 'requested', { channelType: 'in_app' }), ended(1, 'expired'), commanded(2, 'sms')))
})

describe('rule 20: timers due during an outage', () => {
  it('a report that waited is applied first, and the window counts from when it happened', () =>
    given(started)
      .when(at(300, occurredAt(1, requested(1))), timer)
      .then(recorded(1, 'requested', { occurredAt: startedAt + minute }), ended(1, 'waitElapsed'), commanded(2, 'push')))

  it("a report alone never does the timer's work, since the next report may stop the sequence", () =>
    given(started)
      .when(at(300, occurredAt(1, requested(1))), occurredAt(3, viewed(1)))
      .then(
        recorded(1, 'requested', { occurredAt: startedAt + minute }),
        recorded(1, 'viewed', { occurredAt: startedAt + 3 * minute }),
        ended(1, 'stopped', 'viewed'),
        over('stopped', 1, 'viewed'),
      ))

  it('a timer fired although reports were waiting says so', () =>
    given(started, requested(1))
      .when(receiptsBehind(elapsed(1)))
      .then(ended(1, 'waitElapsed', null, 'receipts_behind'), commanded(2, 'push')))

  it('early, repeated and stale timers do nothing', () => {
    given(started).when(timer, at(1, timer)).thenNothing()
    given(started, requested(1), elapsed(1)).when(timer, timer).thenNothing()
    given(started, requested(1), viewed(1)).when(at(500, timer)).thenNothing()
    given().when(timer).thenNothing()
  })
})

describe('rule 21: quiet hours at fire time', () => {
  it('defer the first step', () => expect(traceOf(quietUntil(60, startedWith([last('push')])))).toBe('St D(1)'))

  it('defer the next step', () =>
    given(started, requested(1))
      .when(quietUntil(480, elapsed(1)))
      .then(ended(1, 'waitElapsed'), deferred(2, 480, 'push')))

  it('and its dispatcher hears nothing until then', () =>
    expect(words(given(started, requested(1)).when(quietUntil(480, elapsed(1))).run.commands)).toEqual(['send 1.in_app']))

  it('in-app is exempt: it goes now, the others of the step wait', () =>
    expect(traceOf(quietUntil(60, startedWith(bothThenSms)))).toBe('St C(1.in_app) D(1.push)'))

  it('taken away meanwhile: what waited goes now', () =>
    given(started, requested(1), quietUntil(480, elapsed(1)))
      .when(at(20, reconsidered))
      .then(commanded(2, 'push')))

  it('ending earlier meanwhile: it waits until then', () => {
    given(started, requested(1), quietUntil(480, elapsed(1)))
      .when(at(20, quietUntil(60, reconsidered)))
      .then(deferred(2, 60, 'push'))
    given(started, requested(1), quietUntil(480, elapsed(1)), at(20, quietUntil(60, reconsidered)))
      .when(elapsed(2))
      .then(commanded(2, 'push'))
  })

  it('ending later meanwhile, or not changed at all: asked again at the old end', () => {
    given(started, requested(1), quietUntil(480, elapsed(1)))
      .when(at(20, quietUntil(600, reconsidered)), at(21, quietUntil(480, reconsidered)))
      .thenNothing()
    given(started, requested(1), quietUntil(480, elapsed(1)), at(20, quietUntil(600, reconsidered)))
      .when(quietUntil(600, elapsed(2)))
      .then(deferred(2, 600, 'push'))
  })

  it('taken away where nothing is deferred, nothing runs, or the step is about to end: nothing', () => {
    given(started).when(reconsidered).thenNothing()
    given().when(reconsidered).thenNothing()
    given(started, requested(1), viewed(1)).when(reconsidered).thenNothing()
    given(quietUntil(480, startedWith(bothThenSms)), requested(1, 'in_app'))
      .when(at(400, reconsidered))
      .thenNothing()
  })

  it('only what is deferred goes', () =>
    given(quietUntil(480, startedWith(bothThenSms)), requested(1, 'in_app'))
      .when(at(2, reconsidered))
      .then(commanded(1, 'push')))

  it('the deferred channel is commanded at its time, with a deadline of its own', () =>
    given(quietUntil(60, startedWith(bothThenSms)), skipped(1, 'in_app'))
      .when(elapsed(1))
      .then(commanded(1, 'push')))

  it('quiet hours are asked again then', () =>
    given(quietUntil(60, startedWith(bothThenSms)), skipped(1, 'in_app'))
      .when(quietUntil(90, elapsed(1)))
      .then(deferred(1, 90, 'push')))

  it('not before', () =>
    given(quietUntil(60, startedWith([last('push')])))
      .when(at(59, timer))
      .thenNothing())

  it('a deferred channel keeps the step open', () =>
    given(quietUntil(60, startedWith(bothThenSms)))
      .when(failed(1, 'in_app'))
      .then(recorded(1, 'failed', { channelType: 'in_app' })))

  it('the window elapses meanwhile: the step ends and the deferred channel is never commanded', () => {
    const held = given(quietUntil(60, startedWith(bothThenSms)), requested(1, 'in_app'))
    held.when(elapsed(1)).then(ended(1, 'waitElapsed'), commanded(2, 'sms'))
    expect(words(held.when(elapsed(1), at(60, timer)).run.commands)).toEqual(['send 1.in_app', 'send 2.sms'])
  })

  it('window and deferral both due after an outage: the step has ended, so nobody is commanded in vain', () =>
    expect(traceOf(quietUntil(4, startedWith(bothThenSms)), requested(1, 'in_app'), at(10, timer))).toBe(
      'St C(1.in_app) D(1.push) | E(1.in_app requested) | X(1 waitElapsed) C(2)',
    ))

  it('an engagement meanwhile may stop it', () =>
    given(quietUntil(60, startedWith(bothThenSms)), requested(1, 'in_app'))
      .when(clicked(1, 'in_app'))
      .then(recorded(1, 'clicked', { channelType: 'in_app' }), ended(1, 'stopped', 'clicked'), over('stopped', 1, 'clicked')))

  it('a late signal meanwhile follows lateSignal ignore: the deferral goes on, and nothing is to regret', () =>
    given(startedWith(twoSteps, { lateSignal: 'ignore' }), requested(1), quietUntil(60, elapsed(1)))
      .when(viewed(1))
      .then(recorded(1, 'viewed')))

  it('the last step does not end before its deferred channel is answered', () =>
    expect(traceOf(quietUntil(60, startedWith([last('in_app', 'push')])), requested(1, 'in_app'), elapsed(1), requested(1, 'push'))).toBe(
      'St C(1.in_app) D(1.push) | E(1.in_app requested) | C(1.push) | E(1.push requested) X(1 completed) Z(exhausted)',
    ))

  it('a silence that changes nothing while another channel is deferred is no timer', () =>
    expect(timerOf(given().when(quietUntil(600, startedWith(bothThenSms))).run.state)).toEqual({
      step: 1,
      dueAt: startedAt + 600 * minute,
    }))

  it('an end of quiet hours that is over already defers nothing', () =>
    expect(traceOf(quietUntil(0, startedWith([last('push')])))).toBe('St C(1)'))
})

describe('rule 26: how a sequence ends', () => {
  it('the last step ends it as soon as its outcome is known', () =>
    given(started, requested(1), elapsed(1)).when(requested(2)).then(recorded(2, 'requested'), ended(2, 'completed'), over('exhausted')))

  it('the last step has no condition: clicked completes it', () =>
    given(started, requested(1), elapsed(1)).when(clicked(2)).then(recorded(2, 'clicked'), ended(2, 'completed'), over('exhausted')))

  it('a condition or window given to the last step by mistake is not heeded', () =>
    expect(traceOf(startedWith([step('clicked', 5, 'in_app', 'push')]), clicked(1, 'in_app'), requested(1, 'push'))).toBe(
      'St C(1) | E(1.in_app clicked) | E(1.push requested) X(1 completed) Z(exhausted)',
    ))

  it('nothing ever requested: unreachable', () => expect(traceOf(started, failed(1), failed(2))).toMatch(/X\(2 failed\) Z\(unreachable\)$/))

  it('something requested on an earlier step: exhausted', () =>
    expect(traceOf(started, requested(1), elapsed(1), failed(2))).toMatch(/X\(2 failed\) Z\(exhausted\)$/))

  it('the last step silent: expired', () => expect(traceOf(started, skipped(1), elapsed(2))).toMatch(/X\(2 expired\) Z\(unreachable\)$/))

  it('a broadcast waits for every channel', () =>
    given(broadcast, requested(1, 'in_app'), failed(1, 'push'))
      .when(skipped(1, 'sms'))
      .then(recorded(1, 'skipped', { channelType: 'sms' })))

  it('a broadcast with one silent channel ends when its silence is taken for good', () =>
    given(broadcast, requested(1, 'in_app'), failed(1, 'push'), skipped(1, 'sms'))
      .when(elapsed(1))
      .then(ended(1, 'completed'), over('exhausted')))

  it('a click on a broadcast does not stop what is unanswered', () =>
    given(broadcast, requested(1, 'in_app')).when(clicked(1, 'in_app')).then(recorded(1, 'clicked')))
})

describe('rule 27: the condition is already met when the window would start', () => {
  it('the step ends at once, without a wait', () =>
    given(started)
      .when(viewed(1))
      .then(recorded(1, 'viewed'), ended(1, 'stopped', 'viewed'), over('stopped', 1, 'viewed')))

  it('its requested is recorded afterwards', () => given(started, viewed(1)).when(requested(1)).then(recorded(1, 'requested')))
})

describe("the engine's table: two steps, in_app (viewed, 5) → push", () => {
  const escalated = [started, requested(1), elapsed(1)]

  it.each([
    ['viewed at 3', [started, requested(1), at(3, viewed(1))], 'St C(1) | E(1 requested) | E(1 viewed) X(1 stopped) Z(stopped 1)'],
    [
      'viewed at 7, push sent',
      [...escalated, requested(2), at(7, viewed(1))],
      'St C(1) | E(1 requested) | X(1 waitElapsed) C(2) | E(2 requested) X(2 completed) Z(exhausted) | E(1 viewed) G(1→2)',
    ],
    [
      'viewed at 7, push not answered yet',
      [...escalated, at(7, viewed(1)), skipped(2, 'push', 'withdrawn')],
      'St C(1) | E(1 requested) | X(1 waitElapsed) C(2) | E(1 viewed) G(1→2) X(2 superseded) Z(stopped 1) | E(2 skipped: withdrawn)',
    ],
    [
      'no push token',
      [...escalated, skipped(2)],
      'St C(1) | E(1 requested) | X(1 waitElapsed) C(2) | E(2 skipped) X(2 skipped) Z(exhausted)',
    ],
    [
      'bad push token',
      [...escalated, failed(2)],
      'St C(1) | E(1 requested) | X(1 waitElapsed) C(2) | E(2 failed) X(2 failed) Z(exhausted)',
    ],
    [
      'in-app opted out',
      [started, skipped(1), requested(2)],
      'St C(1) | E(1 skipped) X(1 skipped) C(2) | E(2 requested) X(2 completed) Z(exhausted)',
    ],
    [
      'both skipped',
      [started, skipped(1), skipped(2)],
      'St C(1) | E(1 skipped) X(1 skipped) C(2) | E(2 skipped) X(2 skipped) Z(unreachable)',
    ],
    ['cancelled in the window', [started, requested(1), cancelled], 'St C(1) | E(1 requested) | X(1 cancelled) Z(cancelled)'],
    ['step 1 never answered', [started, elapsed(1)], 'St C(1) | X(1 expired) C(2)'],
    [
      'push outcome unknown',
      [...escalated, unknown(2)],
      'St C(1) | E(1 requested) | X(1 waitElapsed) C(2) | E(2 unknown) X(2 completed) Z(exhausted)',
    ],
    [
      'quiet hours before push',
      [started, requested(1), quietUntil(480, elapsed(1)), elapsed(2), requested(2)],
      'St C(1) | E(1 requested) | X(1 waitElapsed) D(2) | C(2) | E(2 requested) X(2 completed) Z(exhausted)',
    ],
    [
      'viewed while deferred',
      [started, requested(1), quietUntil(480, elapsed(1)), viewed(1)],
      'St C(1) | E(1 requested) | X(1 waitElapsed) D(2) | E(1 viewed) X(2 superseded) Z(stopped 1)',
    ],
    [
      'middle step a+b, a skipped, b failed, wait',
      [
        startedWith([step('viewed', 5, 'in_app'), step('clicked', 5, 'push', 'sms'), last('kakao')], { onFailure: 'wait' }),
        skipped(1),
        skipped(2, 'push'),
        at(3, failed(2, 'sms')),
        at(7.99, timer),
        at(8, timer),
      ],
      'St C(1) | E(1 skipped) X(1 skipped) C(2) | E(2.push skipped) | E(2.sms failed) | X(2 failed) C(3)',
    ],
    [
      'broadcast',
      [broadcast, requested(1, 'in_app'), failed(1, 'push'), skipped(1, 'sms'), elapsed(1)],
      'St C(1) | E(1.in_app requested) | E(1.push failed) | E(1.sms skipped) | X(1 completed) Z(exhausted)',
    ],
  ])('%s', (_, happenings, expected) => expect(traceOf(...happenings)).toBe(expected))
})

describe('the story says why', () => {
  it.each([
    [
      'an escalation',
      [started, requested(1), elapsed(1), failed(2, 'push', 'UNREGISTERED')],
      [
        'Asked for by http: in-app (viewed within 5 min), then push.',
        'The first step fires at once: in-app was commanded, to be answered within 1 h.',
        'In-app of step 1 was accepted (requested), as test reported: that starts the window of 5 min for viewed.',
        'The window of 5 min elapsed without viewed.',
        'Step 2 follows because step 1 ended waitElapsed: push was commanded, to be answered within 1 h.',
        'Push of step 2 failed (UNREGISTERED), as test reported: it can no longer engage.',
        'No message of the step can engage any more: push failed.',
        'The last step is over and at least one message was sent, but no stop condition was met.',
      ],
    ],
    [
      'a STOP that the provider found out later',
      [startedWith(twoSteps, { onFailure: 'wait' }), requested(1), at(2, skipped(1, 'in_app', 'unsubscribed'))],
      [
        'In-app of step 1 was skipped (unsubscribed), as test reported: it can no longer engage.',
        'No message of the step can engage any more: in-app was skipped.',
        'Step 2 follows because step 1 ended skipped: push was commanded, to be answered within 1 h.',
      ],
    ],
    [
      'a stop',
      [started, requested(1), at(3, clicked(1))],
      [
        'In-app of step 1 was clicked, as test reported: clicked meets the stop condition viewed, too.',
        'Clicked came in 3 min after its window of 5 min began and met the stop condition viewed.',
        'Step 1 met its stop condition by clicked: the message has done its job, and nothing more is sent.',
      ],
    ],
    [
      'a late signal',
      [started, requested(1), elapsed(1), at(7, occurredAt(4, viewed(1)))],
      [
        'In-app of step 1 was viewed 3 min ago, as test reported: that meets the stop condition viewed, ' +
          'but 2 min after the step ended waitElapsed.',
        'Viewed came 2 min after step 1 had ended, when step 2 had already been commanded or sent: the escalation was not needed.',
        'Step 1 met its stop condition late, so step 2 is no longer needed; push, still unanswered, is withdrawn.',
        'Step 1 met its stop condition by viewed: the message has done its job, and nothing more is sent.',
      ],
    ],
    [
      'an unknown outcome',
      [started, unknown(1), cancelled],
      [
        'A cancel came in while step 1 was under way; in-app, possibly sent, is not sent again.',
        'A cancel was recorded: no step is commanded any more.',
      ],
    ],
    [
      'a late timer',
      [started, requested(1), receiptsBehind(at(6, timer))],
      [
        'The window of 5 min elapsed (decided 1 min after its end) without viewed, although reports were still waiting to be read.',
        'Step 2 follows because step 1 ended waitElapsed: push was commanded, to be answered within 1 h.',
      ],
    ],
    [
      'quiet hours',
      [quietUntil(90, startedWith(bothThenSms)), skipped(1, 'in_app'), quietUntil(120, elapsed(1)), elapsed(1)],
      [
        'The rest of the step goes on, but quiet hours hold push of step 1 back for 1 h 30 min.',
        'In-app of step 1 was skipped, as test reported: it can no longer engage.',
        'Asked again: quiet hours hold push of step 1 back for 30 min more.',
        'Quiet hours are over: push was commanded, to be answered within 1 h.',
      ],
    ],
    [
      'quiet hours that change',
      [started, requested(1), quietUntil(480, elapsed(1)), at(20, quietUntil(60, reconsidered)), at(30, reconsidered)],
      [
        'Step 2 follows because step 1 ended waitElapsed, but quiet hours hold push of step 2 back for 7 h 55 min.',
        'Quiet hours have changed since and end earlier: they hold push of step 2 back for 40 min.',
        'Quiet hours have changed since and hold nothing back now: push was commanded, to be answered within 1 h.',
      ],
    ],
    [
      'a silence',
      [startedWith(twoSteps, { onFailure: 'wait' }), at(65, timer)],
      [
        'No message of the step can engage any more: in-app stayed silent until 10 s after its deadline, ' +
          'and the wait of 5 min after that is over.',
        'Step 2 follows because step 1 ended expired: push was commanded, to be answered within 1 h.',
      ],
    ],
    [
      'a late child of a cancelled send',
      [startedWith(twoSteps, { cancelled: true, tag: 'spring', requestedAt: startedAt - 2_500 })],
      [
        'Asked for by http 2 s 500 ms ago with the tag spring: in-app (viewed within 5 min), then push.',
        'A cancel was recorded before the sequence started, so it entered no step.',
      ],
    ],
  ])('of %s', (_, happenings, expected) =>
    expect(storyOf(live(nothingYet, ...happenings).changes).slice(-expected.length)).toEqual(expected),
  )
})

describe('old events', () => {
  it('are filled with what their absence meant', () =>
    expect(upcast({ type: 'SequenceStarted', steps: twoSteps, onFailure: 'wait', lateSignal: 'stop', source: 'http' })).toEqual({
      type: 'SequenceStarted',
      steps: twoSteps,
      onFailure: 'wait',
      lateSignal: 'stop',
      source: 'http',
      tag: null,
      requestedAt: null,
      dispatchTtlMs: null,
    }))

  it('a start without a deadline meant sixty minutes', () => {
    const event = upcast({ type: 'SequenceStarted', steps: twoSteps, onFailure: 'wait', lateSignal: 'stop', source: 'http' })
    expect(fold([{ recordedAt: startedAt, events: [event] }])).toMatchObject({ plan: { dispatchTtlMs: 60 * minute } })
  })

  it('current events are left as they are', () => {
    const { changes } = live(nothingYet, started, requested(1), elapsed(1), at(7, viewed(1)))
    for (const event of changes.flatMap(({ events }) => events)) expect(upcast(event)).toBe(event)
  })

  it.each([null, 'St', {}, { type: 'SequencePaused' }, { type: 'toString' }])('what is no event of a sequence is a bug: %p', (event) =>
    expect(() => upcast(event)).toThrow('not an event of a sequence'),
  )
})

describe('when the caller is wrong it stops, instead of deciding on nonsense', () => {
  it.each([
    ['a step without channels', startedWith([step('viewed', 5), last('push')])],
    ['a channel twice in a step', startedWith([last('push', 'push')])],
    ['a waiting step without a window', startedWith([last('in_app'), last('push')])],
    ['a channel nobody knows', startedWith([last('fax' as 'sms')])],
  ])('%s', (_, happening) => expect(() => live(nothingYet, happening)).toThrow(/^sequence: /))

  it.each([
    ['a step that ends out of turn', [ended(2, 'stopped')]],
    ['a step that is entered while another runs', [commanded(2, 'push')]],
    ['a step that is entered again after its end', [ended(1, 'waitElapsed'), commanded(1, 'in_app')]],
    ['a step after the end', [ended(1, 'cancelled'), over('cancelled'), commanded(2, 'push')]],
    ['an engagement of a step never entered', [recorded(2, 'viewed')]],
  ])('%s, in a damaged log', (_, facts) => {
    const run = live(nothingYet, started)
    expect(() => fold([...run.changes, { recordedAt: run.now, events: facts.map((fact) => fact(run)) }])).toThrow(/^sequence: /)
  })

  it('a log without its beginning', () =>
    expect(() => fold([{ recordedAt: startedAt, events: [ended(1, 'stopped')(nothingYet)] }])).toThrow(/^sequence: /))
})

it('every message is named by sequence, step and channel', () =>
  expect(live(nothingYet, started, requested(1)).changes.at(-1)?.events[0]).toMatchObject({ messageId: `${sequenceId}.1.in_app` }))
