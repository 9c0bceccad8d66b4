// The demo's own book: what every person did and what their phone got, and the numbers that must follow from it. Pure.
import { actsInTime, type Person } from './people'
import type { ChannelNumbers, Numbers, Outcome, StepNumbers } from './numbers'

/** How a sequence went, as far as metrics count it. */
export interface Course {
  readonly outcome: Outcome
  /** How the in-app step ended. */
  readonly first: keyof StepNumbers
  readonly regretted: boolean
  /** How the push step ended; null: it was never entered. */
  readonly second: keyof StepNumbers | null
  /** What the dispatcher reported about the push. */
  readonly push: ReadonlySet<string>
}

/** What happened to one person, as the demo did it or saw it. */
export interface Account {
  readonly person: Person
  readonly sendId: string
  readonly sequenceId: string
  /** Receipts that the product has acknowledged. */
  readonly inApp: Set<'delivered' | 'viewed' | 'clicked'>
  readonly push: Set<'delivered' | 'clicked'>
  /** Answers of the provider to requests for this person's push, as its log names them: `200`, `404 UNREGISTERED` … */
  readonly arrivals: string[]
  /** Sees the message only once the sequence has ended; also somebody whose app got it too late to be sure of the window. */
  isLate: boolean
  /** When the product had acknowledged `viewed`, milliseconds since the epoch. */
  viewedAt: number | null
  /** When the window of the in-app step ends, likewise; known once the person's app has the message. */
  windowEndsAt: number | null
  /**
   * The product's own story, taken where the demo cannot know better: the receipt was on its way when the window ended, or the push
   * is listed as possibly sent. Null for everybody else; on a machine that keeps up, for all.
   */
  told: Course | null
}

/** Opens the account of a person. */
export const accountOf = (person: Person, sendId: string, sequenceId: string): Account => ({
  person, sendId, sequenceId, inApp: new Set(), push: new Set(), arrivals: [],
  isLate: person.conduct === 'late', viewedAt: null, windowEndsAt: null, told: null,
})

/** The in-app message did its job inside the window: no push may follow. */
export const wasReached = ({ person, isLate, told }: Account): boolean => actsInTime(person) && !isLate && told === null

/** How the sequence must have gone, by the rules and what the person did. */
export function courseOf(account: Account): Course {
  if (account.told !== null) return account.told
  if (wasReached(account)) return { outcome: 'stopped', first: 'stopped', regretted: false, second: null, push: new Set() }
  const goesOn = { outcome: 'exhausted', first: 'waitElapsed', regretted: false } as const
  switch (account.person.device) {
    // Seen after all, with the push out already: regretted.
    case 'works': return { ...goesOn, regretted: account.inApp.has('viewed'), second: 'completed', push: new Set(['requested']) }
    case 'bad': return { ...goesOn, second: 'failed', push: new Set(['failed']) }
    case 'none': return { ...goesOn, second: 'skipped', push: new Set(['skipped']) }
  }
}

/** The numbers that the metrics API must show once all of these sequences have ended. */
export function numbersOf(accounts: readonly Account[]): Numbers {
  const courses = accounts.map(courseOf)
  const count = <T>(all: readonly T[], holds: (one: T) => boolean): number => all.filter(holds).length
  const outcome = (name: Outcome): number => count(courses, (course) => course.outcome === name)
  const push = (kind: string): number => count(courses, (course) => course.push.has(kind))
  const inApp = (kind: 'delivered' | 'viewed' | 'clicked'): number => count(accounts, (account) => account.inApp.has(kind))
  const first = stepNumbers(courses.map((course) => course.first))
  const second = stepNumbers(courses.flatMap((course) => course.second ?? []))
  return {
    recipients: accounts.length,
    outcomes: {
      running: outcome('running'), stopped: outcome('stopped'), exhausted: outcome('exhausted'), unreachable: outcome('unreachable'),
      cancelled: outcome('cancelled'),
    },
    steps: [
      {
        ...first, step: 1, regretted: count(courses, ({ regretted }) => regretted),
        channels: [{
          ...noChannel, channelType: 'in_app', requested: accounts.length,
          delivered: inApp('delivered'), viewed: inApp('viewed'), clicked: inApp('clicked'),
        }],
      },
      {
        ...second, step: 2,
        channels: [{
          channelType: 'push', requested: push('requested'), failed: push('failed'), skipped: push('skipped'), unknown: push('unknown'),
          delivered: count(accounts, (account) => account.push.has('delivered')), viewed: null,
          clicked: count(accounts, (account) => account.push.has('clicked')),
        }],
      },
    ],
  }
}

const noStep: Omit<StepNumbers, 'step' | 'channels'> = {
  entered: 0, running: 0, stopped: 0, waitElapsed: 0, failed: 0, skipped: 0, expired: 0, superseded: 0, cancelled: 0, completed: 0,
  regretted: 0,
}
const noChannel: Omit<ChannelNumbers, 'channelType'> = {
  requested: 0, delivered: 0, viewed: 0, clicked: 0, failed: 0, skipped: 0, unknown: 0,
}

function stepNumbers(endings: readonly (keyof StepNumbers)[]): typeof noStep {
  const counts: Record<string, number> = {}
  for (const ending of endings) counts[ending] = (counts[ending] ?? 0) + 1
  return { ...noStep, ...counts, entered: endings.length }
}
