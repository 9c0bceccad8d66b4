// Whether the product did what it promises: its numbers and the providers' logs against the demo's own book. Pure.
import { courseOf, numbersOf, stoppedAt, type Account } from './ledger'
import { byName, type Numbers } from './numbers'
import type { DeadLetter, Stored } from './outside'
import { devicesOf } from './people'
import type { ArrivalCount } from './sandbox'
import type { Malformed } from './sends'

/** One promise, kept or not. */
export interface Check {
  readonly promise: string
  /** What is wrong, a line each; empty when the promise was kept. */
  readonly broken: readonly string[]
}

/** Every number that differs, in words. */
export function differences(told: Numbers, expected: Numbers): string[] {
  const numbers = byName(told)
  return [...byName(expected)].flatMap(([name, n]) =>
    numbers.get(name) === n ? [] : [`${name}: the API says ${numbers.get(name) ?? 'nothing'}, the people make it ${n}`],
  )
}

/** All sequences ended, and the numbers of the template are what the people did. */
export function judgeNumbers(accounts: readonly Account[], told: Numbers): Check[] {
  const ended = told.recipients - told.outcomes.running
  const expected = numbersOf(accounts)
  return [
    {
      promise: `all ${accounts.length} sequences ended`,
      broken: ended === accounts.length && told.outcomes.running === 0 ? [] : [`${ended} ended, ${told.outcomes.running} still run`],
    },
    { promise: `the metrics equal what the people did: ${byName(expected).size} numbers`, broken: differences(told, expected) },
  ]
}

/** Likewise of one send. */
export const judgeSend = (accounts: readonly Account[], told: Numbers): string[] =>
  differences(told, numbersOf(accounts)).map((difference) => `send ${accounts[0]?.sendId}: ${difference}`)

/** Nobody was disturbed for nothing, nobody left out, nothing sent twice: by the providers' log of arrivals. */
export function judgeArrivals(accounts: readonly Account[]): Check[] {
  // Whose course only the product could tell may have got something more, or nothing.
  const known = accounts.filter(({ told }) => told === null)
  const stopped = known.flatMap((account) => {
    const step = account.person.conduct === 'asleep' ? 1 : stoppedAt(account)
    return step === null ? [] : [{ account, step }]
  })
  const entered = (step: number): Account[] => known.filter((account) => answersAt(account, step).length > 0)
  const wrongly = (step: number): string[] => entered(step).flatMap((account) => wrongArrivals(account, step))
  const sent = (step: number): Account[] => entered(step).filter((account) => answersAt(account, step).includes('requested'))
  const dead = entered(2).filter(({ person }) => person.devices.startsWith('bad')).length
  return [
    {
      promise: `none of the ${stopped.length} people whom a message had reached got a later one`,
      broken: stopped.flatMap(({ account, step }) =>
        account.steps.slice(step).some(({ arrivals }) => arrivals.length > 0)
          ? [`${told(account)}: reached by step ${step}, but sent more`]
          : [],
      ),
    },
    {
      promise: `each of the other ${sent(2).length} with a working phone got one push on it; ${dead} dead tokens were tried once`,
      broken: wrongly(2),
    },
    {
      promise: `each of the ${sent(3).length} SMS and ${sent(4).length} KakaoTalk messages that were due was sent, and no other`,
      broken: [...wrongly(3), ...wrongly(4)],
    },
  ]
}

/** The dispatcher's and provider's words about a step's message; none: the step must not have been commanded. */
const answersAt = (account: Account, step: number): readonly string[] => [...(courseOf(account).steps[step - 1]?.answers ?? [])]

/** A request per phone or number, no more and no less; taken unless it is to be refused at once. */
function wrongArrivals(account: Account, step: number): string[] {
  const { person, steps } = account
  const { arrivals } = steps[step - 1]!
  const answers = answersAt(account, step)
  const due = answers.includes('skipped') ? 0 : step === 2 ? devicesOf(person).length : 1
  const isRight =
    arrivals.length === due &&
    new Set(arrivals.map(({ to }) => to)).size === due &&
    arrivals.every(({ accepted }) => accepted === answers.includes('requested'))
  const got = arrivals.length === 0 ? 'nothing' : arrivals.map(({ answer }) => answer).join(', ')
  return isRight ? [] : [`${told(account)}: the log has ${got} for step ${step}, due were ${due}`]
}

const told = ({ person, sequenceId }: Account): string => `${person.userId} (sequence ${sequenceId})`

/** What costs money went out once, whatever happened: by the providers' own counts. @param messageIds of everybody's SMS and KakaoTalk */
export function judgePaid(messageIds: ReadonlySet<string>, counts: readonly ArrivalCount[]): Check {
  const ours = counts.filter(({ messageId }) => messageIds.has(messageId))
  const accepted = ours.reduce((sum, count) => sum + count.accepted, 0)
  return {
    promise: `no SMS and no KakaoTalk message was sent twice: ${ours.length} came to the providers, once each; ${accepted} were accepted`,
    broken: ours.flatMap(({ provider, messageId, arrived }) =>
      arrived === 1 ? [] : [`${messageId} arrived ${arrived} times at ${provider}`],
    ),
  }
}

/** Every SMS says what it costs. */
export function judgeSegments(stories: readonly { readonly userId: string; readonly segments: number | null }[]): Check {
  const sum = stories.reduce((all, { segments }) => all + (segments ?? 0), 0)
  return {
    promise: `each of ${stories.length} SMS tells its segments: ${sum} in all`,
    broken: stories.flatMap(({ userId, segments }) => (segments === null ? [`${userId}: the SMS told none`] : [])),
  }
}

/** Links that previews and scanners have fetched count as nobody's click. */
export function judgePreviews(accounts: readonly Account[], { steps }: Numbers): Check {
  const texts = accounts.map((account) => account.steps[2]!)
  const [previewed, clicked] = [texts.filter(({ isPreviewed }) => isPreviewed), texts.filter(({ reported }) => reported.has('clicked'))]
  const counted = steps[2]?.channels[0]?.clicked
  return {
    promise: `${previewed.length} links were fetched by previews and scanners: only the clicks of ${clicked.length} people count`,
    broken: counted === clicked.length ? [] : [`${counted} clicks of SMS links are counted`],
  }
}

/** Every malformed record became one dead letter, with the reason that fits it. */
export function judgeDeadLetters(malformed: readonly Malformed[], letters: readonly DeadLetter[]): Check {
  const at = ({ topic, partition, offset }: Stored): string => `${topic}/${partition}/${offset}`
  const broken = malformed.flatMap(({ stored, reason }) => {
    const found = letters.filter((letter) => at(letter) === at(stored))
    if (found.length === 1 && (reason === null || found[0]!.reason === reason)) return []
    const got = found.length === 0 ? 'no dead letter' : found.map((letter) => letter.reason).join(', ')
    return [`${at(stored)} (${reason ?? 'unreadable'}): ${got}`]
  })
  const reasons = [...new Set(letters.map(({ reason }) => reason))].sort().join(', ')
  return { promise: `${malformed.length} malformed records became dead letters and stopped nobody (${reasons})`, broken }
}

// Enough to see what kind of thing is wrong.
const shownAtMost = 12

/** A check as lines for a terminal. */
export const checkLines = ({ promise, broken }: Check): string[] => [
  `${broken.length === 0 ? 'PASS' : 'FAIL'}  ${promise}`,
  ...broken.slice(0, shownAtMost).map((line) => `      ${line}`),
  ...(broken.length > shownAtMost ? [`      … and ${broken.length - shownAtMost} more`] : []),
]
