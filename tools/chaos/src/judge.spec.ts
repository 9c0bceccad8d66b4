// The checker must be able to fail: a history in which every promise is kept, and one for each promise in which it is not.
import {
  commandTopicOf,
  messageIdOf,
  partitionOf,
  sequenceIdOf,
  topics,
  type DispatchStep,
  type SendRequested,
  type SequenceChanged,
} from '@stepcast/contracts'
import type { Accepted, Final, History, Recorded } from './history'
import { judge } from './judge'
import { numbersOf } from './numbers'

type Event = SequenceChanged['events'][number]

const partitions = 2
const workspaceId = 'demo'
const templateId = 'feed-viewed'
const second = 1_000
const windowMs = 3 * second
const ttlMs = 36 * second
const begin = 1_700_000_000_000

const started: Event = {
  type: 'SequenceStarted',
  onFailure: 'advance',
  lateSignal: 'stop',
  tag: null,
  source: 'kafka',
  requestedAt: begin,
  dispatchTtlMs: ttlMs,
  steps: [
    { channels: ['in_app'], stopCondition: 'viewed', windowMs },
    { channels: ['push'], stopCondition: null, windowMs: null },
  ],
}
const commanded = (step: number, at: number): Event => ({
  type: 'StepCommanded',
  step,
  channels: [step === 1 ? 'in_app' : 'push'],
  commandedAt: at,
  expiresAt: at + ttlMs,
})
const ended = (step: number, reason: Extract<Event, { type: 'StepEnded' }>['reason'], engagement: 'viewed' | null = null): Event => ({
  type: 'StepEnded',
  step,
  reason,
  engagement,
  note: null,
})
const over = (outcome: Extract<Event, { type: 'SequenceEnded' }>['outcome']): Event => ({
  type: 'SequenceEnded',
  outcome,
  step: null,
  engagement: null,
})

/** One sequence whose events a case may change before the log is made of them. */
class Course {
  readonly sequenceId: string
  readonly sendId: string
  readonly changes: { at: number; events: Event[] }[] = []

  constructor(readonly number: number) {
    this.sendId = `send-${number}`
    this.sequenceId = sequenceIdOf(workspaceId, this.sendId, 'ada')
  }

  message(step: number): string {
    return messageIdOf(this.sequenceId, step, step === 1 ? 'in_app' : 'push')
  }

  engagement(step: number, kind: 'requested' | 'viewed' | 'clicked' | 'skipped', occurredAt: number): Event {
    return {
      type: 'EngagementRecorded',
      messageId: this.message(step),
      step,
      channelType: step === 1 ? 'in_app' : 'push',
      kind,
      occurredAt,
      source: 'spec',
      reason: null,
      providerMessageId: null,
      detail: {},
    }
  }

  then(afterMs: number, ...events: Event[]): this {
    this.changes.push({ at: begin + afterMs, events })
    return this
  }
}

/** Viewed in the window. */
const stopped = (number: number): Course => {
  const course = new Course(number)
  return course
    .then(0, started, commanded(1, begin))
    .then(100, course.engagement(1, 'requested', begin + 50))
    .then(1_000, course.engagement(1, 'viewed', begin + 900), ended(1, 'stopped', 'viewed'), over('stopped'))
}

/** Never viewed, so pushed. */
const exhausted = (number: number): Course => {
  const course = new Course(number)
  const dueAt = 50 + windowMs
  return course
    .then(0, started, commanded(1, begin))
    .then(100, course.engagement(1, 'requested', begin + 50))
    .then(dueAt + 5, ended(1, 'waitElapsed'), commanded(2, begin + dueAt + 5))
    .then(dueAt + 200, course.engagement(2, 'requested', begin + dueAt + 100), ended(2, 'completed'), over('exhausted'))
}

/** The history that these courses make when everything goes right. */
function historyOf(courses: readonly Course[], change: (history: Mutable<History>) => void = () => undefined): History {
  const positions = new Map<number, number>()
  const changes = courses.flatMap((course) =>
    course.changes.map(({ at, events }, index): Recorded<SequenceChanged> => {
      const partition = partitionOf(course.sequenceId, partitions)
      const position = (positions.get(partition) ?? 0) + 1
      positions.set(partition, position)
      const value: SequenceChanged = {
        workspaceId,
        sequenceId: course.sequenceId,
        version: index + 1,
        logPartition: partition,
        logPosition: position,
        sendId: course.sendId,
        userId: 'ada',
        templateId,
        templateVersion: 1,
        campaignId: null,
        recordedAt: at,
        events,
      }
      return { topic: topics.sequences.name, partition, offset: position - 1, value, digest: JSON.stringify(value) }
    }),
  )
  const commands = courses.flatMap((course) =>
    course.changes.flatMap(({ events }) => events.flatMap((event) => (event.type === 'StepCommanded' ? [commandOf(course, event)] : []))),
  )
  const history: Mutable<History> = {
    asked: new Set(courses.map(({ sequenceId }) => sequenceId)),
    accepted: courses.map(acceptedOf),
    receipts: [],
    cancels: [],
    optOuts: [],
    poison: [],
    deadLetters: [],
    arrivals: commands.flatMap(({ value }) =>
      value.channelType === 'push'
        ? [{ messageId: value.messageId, to: 'phone_ada_d1', at: new Date(value.commandedAt).toISOString(), answer: '200' }]
        : [],
    ),
    sends: courses.map(sendOf),
    changes,
    commands,
    unknown: [],
    final: null,
  }
  history.final = finalOf(history)
  change(history)
  return history
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function commandOf(course: Course, { step, commandedAt, expiresAt }: Extract<Event, { type: 'StepCommanded' }>): Recorded<DispatchStep> {
  const channelType = step === 1 ? 'in_app' : 'push'
  const value: DispatchStep = {
    action: 'send',
    workspaceId,
    messageId: course.message(step),
    sequenceId: course.sequenceId,
    sendId: course.sendId,
    step,
    channelType,
    userId: 'ada',
    templateId,
    templateVersion: 1,
    campaignId: null,
    variables: {},
    commandedAt,
    expiresAt,
    windowMs: step === 1 ? windowMs : null,
  }
  return {
    topic: commandTopicOf[channelType].name,
    partition: partitionOf(course.sequenceId, partitions),
    offset: course.number,
    value,
    digest: JSON.stringify(value),
  }
}

const acceptedOf = ({ sequenceId, sendId }: Course): Accepted => ({
  sequenceId,
  workspaceId,
  sendId,
  userId: 'ada',
  templateId,
  acceptedAt: begin - 10,
})

const sendOf = ({ sequenceId, sendId, number }: Course): Recorded<SendRequested> => ({
  topic: topics.sends.name,
  partition: partitionOf(sequenceId, partitions),
  offset: number,
  digest: sendId,
  value: {
    workspaceId,
    sendId,
    userId: 'ada',
    templateId,
    templateVersion: null,
    campaignId: null,
    variables: {},
    tag: null,
    source: null,
    requestedAt: begin,
  },
})

/** The numbers as they are when they are right. */
function finalOf({ changes }: Pick<History, 'changes'>): Final {
  const counters = numbersOf(changes.map(({ value }) => value)).get(`${workspaceId}/${templateId}`)!
  const n = (name: string): number => counters.get(name) ?? 0
  const step = (number: number, channelType: string) => ({
    step: number,
    ...Object.fromEntries(
      [
        'entered',
        'regretted',
        'running',
        'stopped',
        'waitElapsed',
        'failed',
        'skipped',
        'expired',
        'superseded',
        'cancelled',
        'completed',
      ].map((name) => [name, n(`${number}.${name}`)]),
    ),
    channels: [
      {
        channelType,
        ...Object.fromEntries(
          ['requested', 'delivered', 'viewed', 'clicked', 'failed', 'skipped', 'unknown'].map((name) => [
            name,
            n(`${number}.${channelType}.${name}`),
          ]),
        ),
      },
    ],
  })
  return {
    timers: 0,
    numbers: new Map([
      [
        `${workspaceId}/${templateId}`,
        {
          recipients: n('recipients'),
          outcomes: Object.fromEntries(
            ['running', 'stopped', 'exhausted', 'unreachable', 'cancelled'].map((name) => [name, n(`outcomes.${name}`)]),
          ),
          steps: [step(1, 'in_app'), step(2, 'push')],
        },
      ],
    ]),
  }
}

/** The promises found broken. */
const broken = (history: History): string[] => [...new Set(judge(history).breaches.map(({ promise }) => promise))]

describe('the checker', () => {
  it('finds nothing where every promise was kept', () => {
    expect(judge(historyOf([stopped(1), exhausted(2), stopped(3), exhausted(4)]))).toMatchObject({
      breaches: [],
      sequences: 4,
      inFlight: 0,
      arrivedAgain: 0,
    })
  })

  it('does not mind what is published again', () => {
    const history = historyOf([stopped(1), exhausted(2)], (made) => {
      made.changes = [...made.changes, ...made.changes]
      made.commands = [...made.commands, ...made.commands]
      made.sends = [...made.sends, ...made.sends.map((send) => ({ ...send, offset: send.offset + 100 }))]
    })
    expect(broken(history)).toEqual([])
  })

  it('waits for what may still come', () => {
    const course = stopped(1)
    course.changes.splice(1)
    expect(
      broken(
        historyOf([course], (made) => {
          made.commands = []
          made.final = null
        }),
      ),
    ).toEqual([])
  })

  describe('of the log', () => {
    it('finds a position that never came', () => {
      expect(broken(historyOf([stopped(1)], (made) => void (made.changes = made.changes.filter((_, index) => index !== 1))))).toContain(
        'the log is gapless, and what is published again says the same',
      )
    })

    it('finds a position that came after a later one', () => {
      expect(
        broken(historyOf([stopped(1)], (made) => void (made.changes = [made.changes[1]!, made.changes[0]!, made.changes[2]!]))),
      ).toContain('the log is gapless, and what is published again says the same')
    })

    it('finds a position with two contents', () => {
      const history = historyOf([stopped(1)], (made) => void (made.changes = [...made.changes, { ...made.changes[0]!, digest: 'another' }]))
      expect(broken(history)).toEqual(['the log is gapless, and what is published again says the same'])
    })

    it('finds events that the core cannot read', () => {
      const course = new Course(1).then(0, started, commanded(2, begin))
      expect(broken(historyOf([course]))).toContain('fold(events) is the state; a running sequence has a timer')
    })
  })

  describe('of sends', () => {
    it('finds one that was accepted and never started', () => {
      expect(broken(historyOf([stopped(1)], (made) => void (made.accepted = [...made.accepted, acceptedOf(new Course(9))])))).toEqual([
        'no accepted send is lost',
      ])
    })

    it('finds one that was passed over, long before the end', () => {
      const [first, later] = Array.from({ length: 20 }, (_, number) => stopped(number)).filter(
        ({ sequenceId }) => partitionOf(sequenceId, partitions) === 0,
      ) as [Course, Course]
      const history = historyOf([later], (made) => {
        made.accepted = [...made.accepted, acceptedOf(first)]
        made.sends = [sendOf(first), ...made.sends]
        made.final = null
      })
      expect(broken(history)).toEqual(['no accepted send is lost'])
    })

    it('finds one that nobody asked for, and one that started twice', () => {
      expect(broken(historyOf([stopped(1)], (made) => void (made.asked = new Set())))).toEqual(['one sequence for each send'])
      const course = stopped(1)
      course.changes[1]!.events.push(started)
      expect(broken(historyOf([course]))).toContain('one sequence for each send')
    })

    it('finds one whose window was forgotten, long before the end', () => {
      const [forgotten, later] = Array.from({ length: 20 }, (_, number) => exhausted(number)).filter(
        ({ sequenceId }) => partitionOf(sequenceId, partitions) === 0,
      ) as [Course, Course]
      forgotten.changes.splice(2)
      for (const change of later.changes) change.at += 10_000
      later.changes[0]!.events[1] = commanded(1, begin + 10_000)
      later.changes[1]!.events[0] = later.engagement(1, 'requested', begin + 10_050)
      later.changes[2]!.events[1] = commanded(2, later.changes[2]!.at)
      expect(broken(historyOf([forgotten, later], (made) => void (made.final = null)))).toEqual(['a running sequence has a live timer'])
    })

    it('finds one that never ended, and a timer left behind', () => {
      const course = exhausted(1)
      course.changes.splice(2)
      expect(broken(historyOf([course]))).toEqual(['every sequence ends'])
      expect(broken(historyOf([stopped(1)], (made) => void (made.final = { ...made.final!, timers: 1 })))).toEqual([
        'a finished sequence has no timer',
      ])
    })
  })

  describe('of steps', () => {
    it('finds a channel commanded twice', () => {
      const course = exhausted(1)
      course.changes[1]!.events.push(commanded(1, begin + 100))
      expect(broken(historyOf([course]))).toContain('each channel of a step is commanded once')
    })

    it('finds a step commanded before the one before it ended', () => {
      const course = exhausted(1)
      course.changes[2]!.events.shift()
      expect(broken(historyOf([course]))).toContain('step n+1 is never commanded before step n ended')
    })

    it('finds a command after the end', () => {
      const course = stopped(1)
      course.then(5_000, commanded(2, begin + 5_000))
      expect(broken(historyOf([course]))).toContain('a finished sequence commands nothing')
    })

    it('finds a window that ended too early', () => {
      const course = exhausted(1)
      course.changes[2]!.at -= 500
      expect(broken(historyOf([course]))).toEqual(['a window elapses after its time'])
    })

    it('finds a next step although the condition was recorded before', () => {
      const course = exhausted(1)
      course.changes[1]!.events.push(course.engagement(1, 'viewed', begin + 60))
      expect(broken(historyOf([course]))).toContain('never commanded when the stop condition was recorded before')
    })

    it('finds an engagement counted twice, and one of a message never commanded', () => {
      const course = stopped(1)
      course.then(6_000, course.engagement(1, 'viewed', begin + 950))
      expect(broken(historyOf([course]))).toContain('any input repeated equals once')
      expect(broken(historyOf([stopped(1).then(6_000, stopped(1).engagement(2, 'clicked', begin))]))).toContain(
        'what was never commanded is not recorded',
      )
    })
  })

  describe('of receipts', () => {
    const receipt = (course: Course, kind: 'viewed' | 'clicked', ackedAt: number, isKeyed = true) => ({
      messageId: course.message(1),
      kind,
      sentAt: ackedAt - 5,
      ackedAt,
      isKeyed,
    })
    const promise = 'receipts first: who engaged within the window is not sent the next step'

    it('finds a window that elapsed although Kafka had the engagement', () => {
      const course = exhausted(1)
      expect(broken(historyOf([course], (made) => void (made.receipts = [receipt(course, 'clicked', begin + windowMs - 10)])))).toContain(
        promise,
      )
    })

    it('asks for nothing that came after the window, nor took a detour', () => {
      const course = exhausted(1)
      const history = historyOf([course], (made) => {
        made.receipts = [receipt(course, 'viewed', begin + windowMs + 60), receipt(course, 'viewed', begin + 1_000, false)]
        made.final = null
      })
      expect(broken(history)).toEqual([])
    })

    it('finds one that was passed over, long before the end', () => {
      const [lost, later, last] = Array.from({ length: 20 }, (_, number) => stopped(number)).filter(
        ({ sequenceId }) => partitionOf(sequenceId, partitions) === 0,
      ) as [Course, Course, Course]
      lost.changes.splice(2)
      // The last turn read may not be whole yet, so another follows.
      last.changes.splice(1)
      last.changes[0]!.at += 5_000
      later.changes[2]!.events[0] = { ...later.engagement(1, 'viewed', begin + 900), source: 'chaos' } as Event
      const history = (ackedAt: number): History =>
        historyOf([lost, later, last], (made) => {
          made.receipts = [receipt(lost, 'viewed', ackedAt)]
          made.final = null
        })
      expect(broken(history(begin + 899))).toEqual(['no receipt is lost'])
      expect(broken(history(begin + 901))).toEqual([])
    })

    it('finds one that was acknowledged and never recorded', () => {
      const course = exhausted(1)
      expect(broken(historyOf([course], (made) => void (made.receipts = [receipt(course, 'viewed', begin + 60_000)])))).toEqual([
        'no receipt is lost',
      ])
    })
  })

  it('finds a command after a cancel was answered', () => {
    const course = exhausted(1)
    for (const [scope, id] of [
      ['sequence', course.sequenceId],
      ['send', course.sendId],
    ] as const) {
      const cancels = [{ workspaceId, scope, id, answeredAt: begin + 500 }]
      expect(broken(historyOf([course], (made) => void (made.cancels = cancels)))).toEqual([
        'nothing is commanded after a cancel was answered',
      ])
    }
  })

  it('finds a push to somebody who had opted out', () => {
    const optOuts = [{ workspaceId, userId: 'ada', channel: 'push' as const, answeredAt: begin }]
    expect(broken(historyOf([exhausted(1)], (made) => void (made.optOuts = optOuts)))).toEqual([
      'no message reaches a channel its user has opted out of',
    ])
  })

  describe('of commands', () => {
    const promise = 'a command is what its event says, however often it is published'

    it('finds one that no event speaks of, also before the end', () => {
      const ghost = commandOf(new Course(1), commanded(2, begin - 60_000) as Extract<Event, { type: 'StepCommanded' }>)
      expect(
        broken(
          historyOf([stopped(1)], (made) => {
            made.commands = [...made.commands, { ...ghost, value: { ...ghost.value, messageId: stopped(1).message(2) } }]
            made.final = null
          }),
        ),
      ).toEqual([promise])
    })

    it('finds one that says something else than its event, and one with two contents', () => {
      const later = (command: Recorded<DispatchStep>) => ({
        ...command,
        value: { ...command.value, commandedAt: command.value.commandedAt + 7 },
      })
      expect(broken(historyOf([stopped(1)], (made) => void (made.commands = made.commands.map(later))))).toEqual([promise])
      expect(
        broken(historyOf([stopped(1)], (made) => void (made.commands = [...made.commands, { ...made.commands[0]!, digest: 'another' }]))),
      ).toEqual([promise])
    })

    it('finds one that was never published, and one that was never answered', () => {
      expect(broken(historyOf([stopped(1)], (made) => void (made.commands = [])))).toEqual(['no command is lost'])
      const course = stopped(1)
      course.changes.splice(1, 1)
      expect(broken(historyOf([course]))).toEqual(['no command is lost'])
    })
  })

  describe('of providers', () => {
    const promise = 'a provider gets a message once for each target, unless its outcome was unknown'
    const again = (made: Mutable<History>): void => void (made.arrivals = [...made.arrivals, { ...made.arrivals[0]!, answer: 'reset' }])

    it('finds a message that arrived twice', () => {
      expect(broken(historyOf([exhausted(1)], again))).toEqual([promise])
    })

    it('takes a refused attempt for none, and another device for another target', () => {
      expect(
        broken(
          historyOf([exhausted(1)], (made) => {
            made.arrivals = [
              ...made.arrivals,
              { ...made.arrivals[0]!, answer: '429 QUOTA_EXCEEDED' },
              { ...made.arrivals[0]!, to: 'phone_ada_d2' },
            ]
          }),
        ),
      ).toEqual([])
    })

    it('counts one that is listed as unknown, and lets it pass', () => {
      const history = historyOf([exhausted(1)], (made) => {
        again(made)
        made.unknown = [{ messageId: exhausted(1).message(2), target: 'd1' }]
      })
      expect(judge(history)).toMatchObject({ breaches: [], arrivedAgain: 1 })
    })

    it('finds one that was reported as sent and never arrived, and one that arrived uncommanded', () => {
      expect(broken(historyOf([exhausted(1)], (made) => void (made.arrivals = [])))).toEqual(['what is reported as sent was sent'])
      expect(
        broken(
          historyOf(
            [stopped(1)],
            (made) =>
              void (made.arrivals = [{ messageId: stopped(1).message(2), to: 'phone_ada_d1', at: '2026-01-01T00:00:00Z', answer: '200' }]),
          ),
        ),
      ).toEqual([promise])
    })
  })

  describe('of dead letters', () => {
    const promise = 'bad records become dead letters with their reason, good ones never'
    const poison = [{ topic: topics.sends.name, digest: 'bad', reason: 'not_avro', place: '0/7' }]
    const letter = { topic: topics.sends.name, digest: 'bad', place: '', reason: 'not_avro', detail: '' }

    it('is content with one for each malformed record', () => {
      expect(broken(historyOf([stopped(1)], (made) => Object.assign(made, { poison, deadLetters: [letter, letter] })))).toEqual([])
    })

    it('finds a malformed record without, with another reason, and a good record with one', () => {
      expect(broken(historyOf([stopped(1)], (made) => void (made.poison = poison)))).toEqual([promise])
      expect(
        broken(historyOf([stopped(1)], (made) => Object.assign(made, { poison, deadLetters: [{ ...letter, reason: 'too_large' }] }))),
      ).toEqual([promise])
      expect(broken(historyOf([stopped(1)], (made) => void (made.deadLetters = [letter])))).toEqual([promise])
    })

    it('knows a record by where it stood when its letter has no bytes, and takes either of two reasons', () => {
      const either = [{ ...poison[0]!, reason: 'not_avro or too_large' }]
      const at = { ...letter, digest: 'none', place: '0/7' }
      expect(
        broken(historyOf([stopped(1)], (made) => Object.assign(made, { poison: either, deadLetters: [{ ...at, reason: 'too_large' }] }))),
      ).toEqual([])
      expect(
        broken(historyOf([stopped(1)], (made) => Object.assign(made, { poison: either, deadLetters: [{ ...at, reason: 'unreadable' }] }))),
      ).toEqual([promise])
      expect(
        broken(historyOf([stopped(1)], (made) => Object.assign(made, { poison: either, deadLetters: [{ ...at, place: '0/8' }] }))),
      ).toEqual([promise])
    })
  })

  describe('of the numbers', () => {
    const promise = 'the metrics are a fold of the log'
    const name = `${workspaceId}/${templateId}`
    const told = (change: (numbers: any) => void) => (made: Mutable<History>) => {
      const numbers = structuredClone(made.final!.numbers.get(name)!)
      change(numbers)
      made.final = { ...made.final!, numbers: new Map([[name, numbers]]) }
    }

    it('finds one that is not a fold of the log', () => {
      expect(
        broken(
          historyOf(
            [stopped(1)],
            told((numbers) => numbers.steps[0].channels[0].viewed++),
          ),
        ),
      ).toEqual([promise])
    })

    it('finds ones that do not add up', () => {
      expect(
        broken(
          historyOf(
            [stopped(1)],
            told((numbers) => numbers.recipients++),
          ),
        ),
      ).toEqual([promise])
    })
  })

  it('finds a sequence that changes its template on the way', () => {
    expect(
      broken(
        historyOf([stopped(1)], (made) => {
          made.changes = made.changes.map((change, index) =>
            index === 2 ? { ...change, value: { ...change.value, templateVersion: 2 } } : change,
          )
        }),
      ),
    ).toContain('a template edit never alters a running sequence')
  })
})
