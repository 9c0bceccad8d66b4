// The demo's own book: what every person did and what their phones got, and the numbers that must follow from it. Pure.
import { actsInTime, isPushable, type Person } from './people'
import type { ChannelNumbers, Numbers, Outcome, StepNumbers } from './numbers'

/** The channels of the four steps, cheapest first. */
export const channels = ['in_app', 'push', 'sms', 'kakao'] as const

/** What a person's app or phone can report. */
export type Report = 'delivered' | 'viewed' | 'clicked'

/** How one step went, as far as metrics count it. */
export interface StepCourse {
  readonly end: keyof StepNumbers
  readonly regretted: boolean
  /** What the dispatcher and its provider reported about the message. */
  readonly answers: ReadonlySet<string>
}

/** How a sequence went: its outcome and the steps that were entered. */
export interface Course {
  readonly outcome: Outcome
  readonly steps: readonly StepCourse[]
}

/** A request that arrived at a provider for a person's message. */
export interface Arrived {
  /** The token or number. */
  readonly to: string
  readonly accepted: boolean
  /** As the log names it: `200`, `404 UNREGISTERED` … */
  readonly answer: string
}

/** What happened at one step, as the demo did it or saw it. */
export interface Happened {
  /** Receipts that the product has acknowledged. */
  readonly reported: Set<Report>
  readonly arrivals: Arrived[]
  /** The link was fetched by something that is no person. */
  isPreviewed: boolean
  /** Acts only once the sequence has ended; also somebody whose phone got it too late to be sure of the window. */
  isLate: boolean
  /** When the product had acknowledged what meets the condition, milliseconds since the epoch. */
  actedAt: number | null
  /** When the window of the step ends, likewise; known once the person has the message. */
  windowEndsAt: number | null
}

/** What happened to one person. */
export interface Account {
  readonly person: Person
  readonly sendId: string
  readonly sequenceId: string
  /** A step each. */
  readonly steps: readonly Happened[]
  /**
   * The product's own story, taken where the demo cannot know better: a receipt was on its way when a window ended, or a message is
   * listed as possibly sent. Null for everybody else; on a machine that keeps up, for all.
   */
  told: Course | null
}

/** Opens the account of a person. */
export function accountOf(person: Person, sendId: string, sequenceId: string): Account {
  const isLate = [person.conduct === 'late', person.onPush === 'late', person.onSms === 'late', true]
  const steps = isLate.map(
    (late): Happened => ({ reported: new Set(), arrivals: [], isPreviewed: false, isLate: late, actedAt: null, windowEndsAt: null }),
  )
  return { person, sendId, sequenceId, steps, told: null }
}

/** A step's condition was met inside its window, by the rules and what the person did: no later step may follow. */
const stopsAt = ({ person, steps }: Account, step: number): boolean => actsInTime(person, step) && !steps[step - 1]!.isLate

/** The step at which the sequence must have stopped; null: at none, or only its own story can tell. */
export const stoppedAt = (account: Account): number | null =>
  account.told === null ? ([1, 2, 3].find((step) => stopsAt(account, step)) ?? null) : null

const answersToSms: Readonly<Record<Person['smsNumber'], readonly string[]>> = {
  works: ['requested'],
  unreachable: ['requested', 'failed'],
  invalid: ['failed'],
  none: ['skipped'],
  optedOut: ['skipped'],
}
const answersToKakao: Readonly<Record<Person['kakaoTalk'], readonly string[]>> = {
  works: ['requested'],
  noKakaoTalk: ['requested', 'failed'],
  refused: ['failed'],
}

/** What a dispatcher and its provider must report of a step's message to this person. */
export function answersOf(person: Person, step: number): readonly string[] {
  switch (step) {
    case 1:
      return ['requested']
    case 2:
      return [isPushable(person) ? 'requested' : person.devices === 'none' ? 'skipped' : 'failed']
    case 3:
      return answersToSms[person.smsNumber]
    default:
      return person.smsNumber === 'none' ? ['skipped'] : answersToKakao[person.kakaoTalk]
  }
}

/** How a step ends that nobody's engagement stops. */
function endOf(answers: readonly string[], step: number): keyof StepNumbers {
  const isTerminal = step === channels.length
  if (answers.includes('failed') && !(isTerminal && answers.includes('requested'))) return 'failed'
  if (answers.includes('skipped')) return 'skipped'
  return isTerminal ? 'completed' : 'waitElapsed'
}

const asleep: Course = {
  outcome: 'stopped',
  steps: [
    // The push was only deferred, which is no escalation to be regretted.
    { end: 'waitElapsed', regretted: false, answers: new Set(['requested']) },
    { end: 'superseded', regretted: false, answers: new Set() },
  ],
}

/** How the sequence must have gone, by the rules and what the person did. */
export function courseOf(account: Account): Course {
  const { person, steps: happened, told } = account
  if (told !== null) return told
  if (person.conduct === 'asleep') return asleep
  const last = stoppedAt(account) ?? channels.length
  const steps = channels.slice(0, last).map((_, index) => {
    const answers = answersOf(person, index + 1)
    return { answers: new Set(answers), end: stopsAt(account, index + 1) ? ('stopped' as const) : endOf(answers, index + 1) }
  })
  // The condition met after the step's end, with something sent meanwhile.
  const isRegretted = (index: number): boolean =>
    happened[index]!.reported.has(index === 0 ? 'viewed' : 'clicked') &&
    steps[index]!.end !== 'stopped' &&
    steps.slice(index + 1).some(({ answers }) => answers.has('requested'))
  return {
    outcome: stoppedAt(account) === null ? 'exhausted' : 'stopped',
    steps: steps.map((step, index) => ({ ...step, regretted: isRegretted(index) })),
  }
}

/** The numbers that the metrics API must show once all of these sequences have ended. */
export function numbersOf(accounts: readonly Account[]): Numbers {
  const courses = accounts.map(courseOf)
  const count = <T>(all: readonly T[], holds: (one: T) => boolean): number => all.filter(holds).length
  const outcome = (name: Outcome): number => count(courses, (course) => course.outcome === name)
  return {
    recipients: accounts.length,
    outcomes: {
      running: outcome('running'),
      stopped: outcome('stopped'),
      exhausted: outcome('exhausted'),
      unreachable: outcome('unreachable'),
      cancelled: outcome('cancelled'),
    },
    steps: channels.map((channelType, index) => {
      const entered = courses.flatMap(({ steps }) => steps[index] ?? [])
      const answered = (kind: string): number => count(entered, ({ answers }) => answers.has(kind))
      const reported = (kind: Report): number => count(accounts, ({ steps }) => steps[index]!.reported.has(kind))
      return {
        ...stepNumbers(entered.map(({ end }) => end)),
        step: index + 1,
        regretted: count(entered, ({ regretted }) => regretted),
        channels: [
          {
            channelType,
            requested: answered('requested'),
            failed: answered('failed'),
            skipped: answered('skipped'),
            unknown: answered('unknown'),
            delivered: reported('delivered'),
            viewed: channelType === 'in_app' ? reported('viewed') : null,
            clicked: reported('clicked'),
          } satisfies ChannelNumbers,
        ],
      }
    }),
  }
}

const noStep: Omit<StepNumbers, 'step' | 'channels'> = {
  entered: 0,
  running: 0,
  stopped: 0,
  waitElapsed: 0,
  failed: 0,
  skipped: 0,
  expired: 0,
  superseded: 0,
  cancelled: 0,
  completed: 0,
  regretted: 0,
}

function stepNumbers(endings: readonly (keyof StepNumbers)[]): typeof noStep {
  const counts: Record<string, number> = {}
  for (const ending of endings) counts[ending] = (counts[ending] ?? 0) + 1
  return { ...noStep, ...counts, entered: endings.length }
}
