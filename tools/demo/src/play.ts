// The demo from the template to the verdict, on a system that runs.
import { Api, pause } from './api'
import { judge, type Sending } from './judge'
import { numbersOf, type Account } from './ledger'
import { askStories, live, type World } from './life'
import type { Numbers } from './numbers'
import type { RunningSystem } from './options'
import { Outsider, sendGarbage } from './outside'
import { peopleOf } from './people'
import { Phones } from './phones'
import { Sandbox } from './sandbox'
import { makeTemplate, registerPeople, sendNonsense, sendOverHttp, sendOverKafka, Sent, waitMinutes, wavesOf, type Wave } from './sends'
import type { Screen } from './table'
import { differences } from './verdict'

/** What is to be played. */
export interface Play {
  readonly system: RunningSystem
  readonly seed: number
  readonly minuteMs: number
  readonly screen: Screen
  /** Called once when a few SMS are out: the middle of it. */
  readonly onMiddle: () => void
  readonly signal: AbortSignal
}

const peopleCount = 600
const waveSize = 50
const betweenWavesMs = 500
const lookEveryMs = 1_000
const windows = 3
/** SMS that make the middle of the demo. */
const middleAt = 40
/** Nothing takes longer than this beyond the windows, unless it hangs: a killed service is back in seconds. */
const longestMs = 240_000
/** Numbers follow within a second; a metrics-svc that was just killed needs some. */
const settleMs = 60_000
/** Time for a surplus to show: what should not come would come soon. */
const quietMs = 3_000

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
  const sandbox = new Sandbox(system.sandboxUrl)
  const world: World = { api: new Api(system), sandbox, windowMs: waitMinutes * minuteMs, signal }
  const people = peopleOf(seed, peopleCount)
  const waves = wavesOf(people, waveSize, system.workspaceId, templateId)
  const accounts = waves.flatMap((wave) => wave.accounts)

  await world.sandbox.register(system)
  await makeTemplate(world.api, templateId)
  await registerPeople(world.api, people, (n) => {
    if (n % 200 === 0) screen.print(`${n} of ${peopleCount} people are registered.`)
  })
  screen.print(
    [
      `Template ${templateId}: in-app until viewed, push and SMS until clicked, KakaoTalk last; windows of ${waitMinutes} minutes,`,
      `${minuteMs / 1000} s each. Half of the people over HTTP, half over Kafka by a program that knows nothing of us:`,
      `tools/demo/src/outsider.mjs. Their phones, live: ${system.sandboxUrl}\n`,
    ].join('\n'),
  )

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
    return await judge({ world, accounts, numbers, sending: await sending, waveSize, begin }, system, screen)
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
  lives.then(
    () => (lived = true),
    () => undefined,
  )

  const look = async (): Promise<void> => {
    const asked = api.call<Numbers>('GET', `/v1/metrics/templates/${templateId}`, { patienceMs: 0, signal }).catch(() => null)
    const [told] = await Promise.all([asked, phones.look()])
    signal.throwIfAborted()
    numbers = told ?? numbers
    const elapsedS = Math.round((Date.now() - firstSendAt) / 1000)
    screen.draw({ elapsedS, people: accounts.length, sent: sent.count, numbers, stale: told === null })
    if (!middle && (numbers?.steps[2]?.entered ?? 0) >= middleAt) {
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
  if (await until(ended, windows * windowMs + longestMs)) {
    // The last messages may have arrived while the numbers were asked for.
    await phones.look()
    await phones.done()
    await askStories(accounts, isUnknown(numbers), world)
    await until(() => numbers !== null && differences(numbers, numbersOf(accounts)).length === 0, settleMs)
    await pause(quietMs, signal)
    await look()
  }
  if (numbers === null) throw new Error('metrics-svc never answered.')
  return numbers
}

/** Whether any message counts as possibly sent. */
const isUnknown = (numbers: Numbers | null): boolean =>
  numbers?.steps.some(({ channels }) => channels.some(({ unknown }) => unknown > 0)) ?? false
