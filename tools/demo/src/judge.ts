// The verdict on a demo that has been played: every promise checked, a story told, and what the numbers mean.
import { answersOf, courseOf, type Account } from './ledger'
import { messageOf, type World } from './life'
import type { Numbers } from './numbers'
import type { RunningSystem } from './options'
import { readDeadLetters } from './outside'
import { actsInTime, isPushable } from './people'
import { reading, wrapped } from './reading'
import { repeatedPerWave, waitMinutes, type Malformed } from './sends'
import { readStory, segmentsIn, storyLines } from './story'
import type { Screen } from './table'
import {
  checkLines,
  judgeArrivals,
  judgeDeadLetters,
  judgeNumbers,
  judgePaid,
  judgePreviews,
  judgeSegments,
  judgeSend,
  type Check,
} from './verdict'

/** What came of sending. */
export interface Sending {
  /** What was wrong with answers of the product. */
  readonly problems: readonly string[]
  readonly malformed: readonly Malformed[]
}

/** What was done and seen. */
export interface Played {
  readonly world: World
  readonly accounts: readonly Account[]
  readonly numbers: Numbers
  readonly sending: Sending
  readonly waveSize: number
  readonly begin: Date
}

/** Prints the verdict. @returns whether every promise was kept */
export async function judge(played: Played, system: RunningSystem, screen: Screen): Promise<boolean> {
  const { world, accounts, numbers, sending, waveSize, begin } = played
  const repeated = (accounts.length / 2 / waveSize) * repeatedPerWave
  const ofSends = await sendsOf(played)
  const checks: Check[] = [
    ...judgeNumbers(accounts, numbers),
    { promise: `the metrics of each of the ${ofSends.length} sends do, too`, broken: ofSends.flat() },
    ...judgeArrivals(accounts),
    await paidOf(played),
    await segmentsOf(played),
    judgePreviews(accounts, numbers),
    {
      promise: `${accounts.length / 2} sends came twice over HTTP and ${repeated} over Kafka: one sequence each`,
      broken: sending.problems,
    },
    judgeDeadLetters(sending.malformed, await readDeadLetters(system.addresses, begin)),
  ]
  screen.print(`\n${checks.flatMap(checkLines).join('\n')}`)

  const slowed = accounts.filter(({ person, steps }) => steps.some(({ isLate }, index) => isLate && actsInTime(person, index + 1))).length
  if (slowed > 0) screen.print(`      (${slowed} meant to look in time, but this machine was too slow for them: they count as late.)`)
  const told = accounts.filter((account) => account.told !== null).length
  if (told > 0) screen.print(`      (${told} judged by their stories: a receipt on its way when a window ended, a message possibly sent.)`)

  // Somebody who ignored all but the last message: every step is in their story.
  const last = accounts.find(({ steps }) => steps[3]!.reported.has('clicked') && steps[2]!.reported.has('delivered'))
  if (last !== undefined) {
    const story = storyLines(await readStory(world.api, last.sequenceId, world.signal)).join('\n')
    screen.print(`\nWhy did ${last.person.userId} get a KakaoTalk message?   GET /v1/sequences/${last.sequenceId}\n${story}`)
  }
  screen.print(`\n${wrapped(reading(numbers, { waitMinutes, reachable: reachable(accounts) }))}`)
  return checks.every(({ broken }) => broken.length === 0)
}

/** What is wrong with the metrics of each send. */
const sendsOf = ({ world: { api, signal }, accounts }: Played): Promise<string[][]> =>
  Promise.all(
    [...new Set(accounts.map(({ sendId }) => sendId))].map(async (sendId) =>
      judgeSend(
        accounts.filter((account) => account.sendId === sendId),
        await api.call<Numbers>('GET', `/v1/metrics/sends/${encodeURIComponent(sendId)}`, { signal }),
      ),
    ),
  )

async function paidOf({ world: { sandbox }, accounts, begin }: Played): Promise<Check> {
  const messageIds = new Set(accounts.flatMap((account) => [messageOf(account, 3), messageOf(account, 4)]))
  return judgePaid(messageIds, (await Promise.all([sandbox.counts(begin, 'twilio'), sandbox.counts(begin, 'solapi')])).flat())
}

async function segmentsOf({ world: { api, signal }, accounts }: Played): Promise<Check> {
  const texted = accounts.filter((account) => courseOf(account).steps[2]?.answers.has('requested'))
  return judgeSegments(
    await Promise.all(
      texted.map(async ({ person, sequenceId }) => ({
        userId: person.userId,
        segments: segmentsIn(await readStory(api, sequenceId, signal)),
      })),
    ),
  )
}

/** Whom a broadcast to every channel would have sent to. */
function reachable(accounts: readonly Account[]): { push: number; sms: number; kakao: number } {
  const people = accounts.map(({ person }) => person)
  const taken = (step: number): number => people.filter((person) => answersOf(person, step).includes('requested')).length
  return { push: people.filter(isPushable).length, sms: taken(3), kakao: taken(4) }
}
