// The demo from the template to the verdict, on a system that runs.
import { Api, pause } from './api'
import { numbersOf, type Account } from './ledger'
import { askStories, live, Phones, type World } from './life'
import type { Numbers } from './numbers'
import type { RunningSystem } from './options'
import { Outsider, readDeadLetters, sendGarbage } from './outside'
import { actsInTime, peopleOf } from './people'
import { reading, wrapped } from './reading'
import { Sandbox } from './sandbox'
import {
  makeTemplate, registerPeople, repeatedPerWave, sendNonsense, sendOverHttp, sendOverKafka, Sent, waitMinutes, wavesOf,
  type Malformed, type Wave,
} from './sends'
import { readStory, storyLines } from './story'
import type { Screen } from './table'
import { checkLines, differences, judgeDeadLetters, judgeNumbers, judgePushes, judgeSend, type Check } from './verdict'

/** What is to be played. */
export interface Play {
  readonly system: RunningSystem
  readonly seed: number
  readonly minuteMs: number
  readonly screen: Screen
  /** Called once when a few pushes are out: the middle of it. */
  readonly onMiddle: () => void
  readonly signal: AbortSignal
}

const peopleCount = 600
const waveSize = 50
const betweenWavesMs = 1_000
const lookEveryMs = 1_000
/** Pushes that make the middle of the demo. */
const middleAt = 40
/** Nothing takes longer than this beyond the window, unless it hangs: a killed service is back in seconds. */
const longestMs = 240_000
/** Numbers follow within a second; a metrics-svc that was just killed needs some. */
const settleMs = 60_000
/** Time for a surplus to show: what should not come would come soon. */
const quietMs = 3_000

/** What was done and seen, for the verdict. */
interface Played {
  readonly world: World
  readonly accounts: readonly Account[]
  readonly numbers: Numbers
  readonly sending: Sending
  readonly begin: Date
}

interface Sending {
  /** What was wrong with answers of the product. */
  readonly problems: readonly string[]
  readonly malformed: readonly Malformed[]
}

/**
 * Plays the demo.
 * @returns whether the product kept all its promises
 * @throws Error when the product refuses something or stays away; the signal's reason once it is aborted
 */
export async function play({ system, seed, minuteMs, screen, onMiddle, signal: stopped }: Play): Promise<boolean> {
  const over = new AbortController()
  const signal = AbortSignal.any([stopped, over.signal])
  const begin = new Date()
  const templateId = `demo-${begin.getTime().toString(36)}`
  const world: World = { api: new Api(system), sandbox: new Sandbox(system.sandboxUrl), windowMs: waitMinutes * minuteMs, signal }
  const people = peopleOf(seed, peopleCount)
  const waves = wavesOf(people, waveSize, system.workspaceId, templateId)
  const accounts = waves.flatMap((wave) => wave.accounts)

  await world.sandbox.register(system.workspaceId, system.apiKey)
  await makeTemplate(world.api, templateId)
  await registerPeople(world.api, people, (n) => {
    if (n % 200 === 0) screen.print(`${n} of ${peopleCount} people are registered.`)
  })
  screen.print(`Template ${templateId}: in-app until viewed, ${waitMinutes} minutes of ${minuteMs / 1000} s, then push. ` +
    `Half of the people over HTTP,\nhalf over Kafka by a program that knows nothing of us: tools/demo/src/outsider.mjs\n`)

  const outsider = new Outsider(system.addresses)
  try {
    const sent = new Sent(accounts)
    const phones = new Phones(accounts, world, begin)
    const sending = sendAll(waves, { system, templateId, outsider, sent, world })
    const lives = accounts.map((account) => live(account, sent.of(account), world))
    // What fails here fails the demo, and at once: nobody waits for an end that cannot come.
    for (const work of [sending, ...lives]) work.catch((error: Error) => over.abort(error))
    const numbers = await watch({ world, templateId, accounts, sent, phones, lives: Promise.all([sending, ...lives]), screen, onMiddle })
    screen.keep()
    return await judge({ world, accounts, numbers, sending: await sending, begin }, system, screen)
  } finally {
    over.abort(new Error('The demo is over.'))
    outsider.kill()
  }
}

interface SendAll {
  readonly system: RunningSystem
  readonly templateId: string
  readonly outsider: Outsider
  readonly sent: Sent
  readonly world: World
}

/** A wave over HTTP, one over Kafka, and so on; then what nobody can use. */
async function sendAll(waves: readonly Wave[], { system, templateId, outsider, sent, world: { api, signal } }: SendAll): Promise<Sending> {
  const [overHttp, overKafka] = [waves.filter((wave) => wave.idempotencyKey !== null), waves.filter((wave) => wave.idempotencyKey === null)]
  const problems: string[] = []
  for (const [i, wave] of overHttp.entries()) {
    problems.push(...(await sendOverHttp(api, templateId, wave)))
    wave.accounts.forEach((account) => sent.note(account))
    await sendOverKafka(outsider, system.workspaceId, templateId, overKafka[i]!, (account) => sent.note(account))
    await pause(betweenWavesMs, signal)
  }
  const malformed = await sendNonsense(outsider, system.workspaceId, templateId)
  await outsider.end()
  const garbage = await sendGarbage(system.addresses)
  return { problems, malformed: [...malformed, ...garbage.map((stored) => ({ stored, reason: null }))] }
}

interface Watch {
  readonly world: World
  readonly templateId: string
  readonly accounts: readonly Account[]
  readonly sent: Sent
  readonly phones: Phones
  readonly lives: Promise<unknown>
  readonly screen: Screen
  readonly onMiddle: () => void
}

/** Shows what happens until everybody has done their part and the numbers have settled, or will not. @returns the last numbers */
async function watch({ world, templateId, accounts, sent, phones, lives, screen, onMiddle }: Watch): Promise<Numbers> {
  const { api, signal, windowMs } = world
  const firstSendAt = Date.now()
  let numbers: Numbers | null = null
  let middle = false
  let lived = false
  lives.then(() => (lived = true), () => undefined)

  const look = async (): Promise<void> => {
    const asked = api.call<Numbers>('GET', `/v1/metrics/templates/${templateId}`, { patienceMs: 0, signal }).catch(() => null)
    const [told] = await Promise.all([asked, phones.look()])
    signal.throwIfAborted()
    numbers = told ?? numbers
    const elapsedS = Math.round((Date.now() - firstSendAt) / 1000)
    screen.draw({ elapsedS, people: accounts.length, sent: sent.count, numbers, stale: told === null })
    if (!middle && (numbers?.steps[1]?.entered ?? 0) >= middleAt) {
      middle = true
      onMiddle()
    }
  }
  /** @returns false: not within that time */
  const until = async (done: () => boolean, withinMs: number): Promise<boolean> => {
    for (const deadline = Date.now() + withinMs; ; await pause(lookEveryMs, signal)) {
      await look()
      if (done()) return true
      if (Date.now() > deadline) return false
    }
  }

  const ended = (): boolean => lived && numbers?.recipients === accounts.length && numbers.outcomes.running === 0
  if (await until(ended, windowMs + longestMs)) {
    await phones.done()
    await askStories(accounts, world)
    await until(() => numbers !== null && differences(numbers, numbersOf(accounts)).length === 0, settleMs)
    await pause(quietMs, signal)
    await look()
  }
  if (numbers === null) throw new Error('metrics-svc never answered.')
  return numbers
}

async function judge({ world, accounts, numbers, sending, begin }: Played, system: RunningSystem, screen: Screen): Promise<boolean> {
  const { api, signal } = world
  const ofSends = await Promise.all([...new Set(accounts.map(({ sendId }) => sendId))].map(async (sendId) => judgeSend(
    accounts.filter((account) => account.sendId === sendId),
    await api.call<Numbers>('GET', `/v1/metrics/sends/${encodeURIComponent(sendId)}`, { signal }),
  )))
  const repeated = (accounts.length / 2 / waveSize) * repeatedPerWave
  const checks: Check[] = [
    ...judgeNumbers(accounts, numbers),
    { promise: `the metrics of each of the ${ofSends.length} sends do, too`, broken: ofSends.flat() },
    ...judgePushes(accounts),
    {
      promise: `${accounts.length / 2} sends came twice over HTTP and ${repeated} over Kafka: one sequence each`,
      broken: sending.problems,
    },
    judgeDeadLetters(sending.malformed, await readDeadLetters(system.addresses, begin)),
  ]
  screen.print(`\n${checks.flatMap(checkLines).join('\n')}`)

  const slowed = accounts.filter(({ person, isLate }) => isLate && actsInTime(person)).length
  if (slowed > 0) screen.print(`      (${slowed} meant to look in time, but this machine was too slow for them: they count as late.)`)
  const told = accounts.filter((account) => account.told !== null).length
  if (told > 0) screen.print(`      (${told} judged by their stories: a receipt under way when the window ended, or a push possibly sent.)`)

  const late = accounts.find(({ person, isLate }) => isLate && person.device === 'works')
  if (late !== undefined) {
    const story = storyLines(await readStory(api, late.sequenceId, signal)).join('\n')
    screen.print(`\nWhy did ${late.person.userId} get a push?   GET /v1/sequences/${late.sequenceId}\n${story}`)
  }
  const pushable = accounts.filter(({ person }) => person.device === 'works').length
  screen.print(`\n${wrapped(reading(numbers, { waitMinutes, pushable }))}`)
  return checks.every(({ broken }) => broken.length === 0)
}
