// Whether the product did what it promises: its numbers and the provider's log against the demo's own book. Pure.
import { numbersOf, wasReached, type Account } from './ledger'
import { byName, type Numbers } from './numbers'
import type { DeadLetter, Stored } from './outside'
import type { Person } from './people'
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
    numbers.get(name) === n ? [] : [`${name}: the API says ${numbers.get(name) ?? 'nothing'}, the people make it ${n}`])
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

/** Nobody was disturbed for nothing, nobody with a device left out: by the provider's log of arrivals. */
export function judgePushes(accounts: readonly Account[]): Check[] {
  const reached = accounts.filter(wasReached)
  // Whose course only the product could tell may have got one, or none.
  const rest = accounts.filter((account) => !wasReached(account) && account.told === null)
  const withDevice = (device: Person['device']): Account[] => rest.filter(({ person }) => person.device === device)
  const [working, bad, none] = [withDevice('works'), withDevice('bad'), withDevice('none')]
  return [
    {
      promise: `none of the ${reached.length} people who saw the message in time got a push`,
      broken: reached.filter(({ arrivals }) => arrivals.length > 0).map(told),
    },
    {
      promise: `each of the other ${working.length} with a working device got exactly one`,
      broken: working.filter(({ arrivals }) => taken(arrivals) !== 1).map(told),
    },
    {
      promise: `the ${bad.length} dead tokens were tried once, and nothing was sent for ${none.length} people without a device`,
      broken: [...bad.filter(({ arrivals }) => arrivals.length !== 1), ...none.filter(({ arrivals }) => arrivals.length > 0)].map(told),
    },
  ]
}

/** Requests that the provider took. */
const taken = (arrivals: readonly string[]): number => arrivals.filter((answer) => answer === '200').length

const told = ({ person, sequenceId, arrivals }: Account): string =>
  `${person.userId} (sequence ${sequenceId}): the provider's log has ${arrivals.length === 0 ? 'no push' : arrivals.join(', ')}`

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
