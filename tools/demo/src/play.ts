// The demo from the first send to the verdict, on a system that runs.
import { Api, pause } from './api'
import { numbersOf, type Account } from './ledger'
import { askStories, live, Phones, type World } from './life'
import type { Numbers } from './numbers'
import { Outsider, readDeadLetters, sendGarbage, type DeadLetter, type Stored } from './outside'
import { peopleOf } from './people'
import type { RunningSystem } from './options'
import { reading } from './reading'
import { Sandbox } from './sandbox'
import { makeTemplate, registerPeople, repeatedPerWave, sendNonsense, sendOverHttp, sendOverKafka, waitMinutes, wavesOf } from './sends'
import { readStory, storyLines } from './story'
import type { Screen } from './table'
import { checkLines, differences, judgeNumbers, judgePushes, judgeSend, type Check } from './verdict'

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
/** Nothing takes longer than this beyond the windows, unless it hangs: a killed service is back in seconds. */
const longestMs = 240_000
/** Numbers follow within a second; a metrics-svc that was just killed needs some. */
const settleMs = 60_000
/** Time for a surplus to show: what should not come would come soon. */
const quietMs = 3_000

/** Plays the demo. @returns whether the product kept all its promises */
export async function play({ system, seed, minuteMs, screen, onMiddle, signal: stopped }: Play): Promise<boolean> {
  const failed = new AbortController()
  const signal = AbortSignal.any([stopped, failed.signal])
  const begin = new Date()
  const run = `demo-${begin.getTime().toString(36)}`
  const templateId = run
  const api = new Api(system)
  const sandbox = new Sandbox(system.sandboxUrl)
  const windowMs = waitMinutes * minuteMs
  const world: World = { api, sandbox, windowMs, signal }
  const people = peopleOf(seed, peopleCount)
  const waves = wavesOf(people, waveSize, system.workspaceId, run)
  const accounts = waves.flatMap((wave) => wave.accounts)

  await sandbox.register(system.workspaceId, system.apiKey)
  await makeTemplate(api, templateId)
  await registerPeople(api, people, (n) => {
    if (n % 100 === 0) screen.print(`${n} of ${peopleCount} people are registered.`)
  })
  screen.print(`Template ${templateId}: in-app until viewed, ${waitMinutes} minutes of ${minuteMs / 1000} s, then push. ` +
    `300 people over HTTP, 300 over Kafka by a producer of its own (tools/demo/src/outsider.mjs).\n`)

  const outsider = new Outsider(system.addresses)
  const phones = new Phones(accounts, world, begin)
  const sends = new Sends(accounts)
  const lives = accounts.map((account) => live(account, sends.of(account), world))
  // What fails here fails the demo, and at once: nobody waits for an end that cannot come.
  const guarded = <T>(work: Promise<T>): Promise<T> => {
    work.catch((error: Error) => failed.abort(error))
    return work
  }
  lives.forEach(guarded)

  const firstSendAt = Date.now()
  const problems: string[] = []
  const malformed: { stored: Stored; reason: string | null }[] = []
  const sending = guarded((async () => {
    const [overHttp, overKafka] = [waves.filter((wave) => wave.idempotencyKey !== null), waves.filter((wave) => wave.idempotencyKey === null)]
    for (const [i, wave] of overHttp.entries()) {
      problems.push(...(await sendOverHttp(api, templateId, wave)))
      wave.accounts.forEach((account) => sends.sent(account))
      await sendOverKafka(outsider, system.workspaceId, templateId, overKafka[i]!, (account) => sends.sent(account))
      await pause(betweenWavesMs, signal)
    }
    malformed.push(...(await sendNonsense(outsider, system.workspaceId, templateId)))
    await outsider.end()
    malformed.push(...(await sendGarbage(system.addresses)).map((stored) => ({ stored, reason: null })))
  })())

  const numbersNow = (): Promise<Numbers> => api.call('GET', `/v1/metrics/templates/${templateId}`, { patienceMs: 0, signal })
  let numbers: Numbers | null = null
  let middle = false
  const look = async (): Promise<void> => {
    const [told] = await Promise.all([numbersNow().catch(() => null), phones.look()])
    signal.throwIfAborted()
    numbers = told ?? numbers
    screen.draw({ elapsedS: Math.round((Date.now() - firstSendAt) / 1000), people: peopleCount, sent: sends.count, numbers, stale: told === null })
    if (!middle && (numbers?.steps[1]?.entered ?? 0) >= middleAt) {
      middle = true
      onMiddle()
    }
  }
  const until = async (done: () => boolean, withinMs: number): Promise<void> => {
    for (const deadline = Date.now() + withinMs; ; await pause(lookEveryMs, signal)) {
      await look()
      if (done() || Date.now() > deadline) return
    }
  }

  try {
    await until(() => sends.count === peopleCount && numbers?.recipients === peopleCount && numbers.outcomes.running === 0, windowMs + longestMs)
    if (numbers !== null && (numbers as Numbers).outcomes.running === 0) {
      await Promise.all([sending, ...lives])
      await phones.look()
      await phones.done()
      await askStories(accounts, world)
      const agree = (): boolean => numbers !== null && differences(numbers, numbersOf(accounts)).length === 0
      await until(agree, settleMs)
      await pause(quietMs, signal)
      await look()
    }
    screen.keep()
    if (numbers === null) throw new Error('metrics-svc never answered.')

    const letters = await readDeadLetters(system.addresses, begin)
    const sendsProblems = await judgeSends(api, accounts, signal)
    const checks: Check[] = [
      ...judgeNumbers(accounts, numbers),
      { promise: 'so do the metrics of every single send', broken: sendsProblems },
      ...judgePushes(accounts),
      {
        promise: `${peopleCount / 2} sends came twice over HTTP and ${(waves.length / 2) * repeatedPerWave} over Kafka: one sequence each`,
        broken: problems,
      },
      judgeDeadLetters(malformed, letters),
    ]
    screen.print(`\n${checks.flatMap(checkLines).join('\n')}`)
    const told = accounts.filter((account) => account.told !== null).length
    if (told > 0) screen.print(`      (${told} on the edge: a receipt under way when the window ended, or a push possibly sent. Judged by their stories.)`)
    await showStory(api, accounts, screen, signal)
    screen.print(`\n${wrapped(reading(numbers, { waitMinutes, pushable: people.filter(({ device }) => device === 'works').length }))}`)
    return checks.every(({ broken }) => broken.length === 0)
  } finally {
    failed.abort(new Error('The demo has ended.'))
    outsider.kill()
  }
}

/** Who has been sent to. */
class Sends {
  count = 0
  private readonly byId = new Map<string, { promise: Promise<void>; done: () => void }>()

  constructor(accounts: readonly Account[]) {
    for (const { sequenceId } of accounts) {
      let done!: () => void
      const promise = new Promise<void>((resolve) => (done = resolve))
      this.byId.set(sequenceId, { promise, done })
    }
  }

  of({ sequenceId }: Account): Promise<void> {
    return this.byId.get(sequenceId)!.promise
  }

  sent({ sequenceId }: Account): void {
    this.count++
    this.byId.get(sequenceId)!.done()
  }
}

async function judgeSends(api: Api, accounts: readonly Account[], signal: AbortSignal): Promise<string[]> {
  const sendIds = [...new Set(accounts.map(({ sendId }) => sendId))]
  const broken = await Promise.all(sendIds.map(async (sendId) =>
    judgeSend(accounts.filter((account) => account.sendId === sendId), await api.call<Numbers>('GET', `/v1/metrics/sends/${encodeURIComponent(sendId)}`, { signal }))))
  return broken.flat()
}

function judgeDeadLetters(malformed: readonly { stored: Stored; reason: string | null }[], letters: readonly DeadLetter[]): Check {
  const at = ({ topic, partition, offset }: Stored): string => `${topic}/${partition}/${offset}`
  const broken = malformed.flatMap(({ stored, reason }) => {
    const found = letters.filter((letter) => at(letter) === at(stored))
    if (found.length === 1 && (reason === null || found[0]!.reason === reason)) return []
    return [`${at(stored)} (${reason ?? 'unreadable'}): ${found.length === 0 ? 'no dead letter' : found.map((letter) => letter.reason).join(', ')}`]
  })
  const reasons = [...new Set(letters.map(({ reason }) => reason))].sort().join(', ')
  return { promise: `${malformed.length} malformed records became dead letters and stopped nobody (${reasons})`, broken }
}

/** One story that shows what "why" means: somebody who saw the message late. */
async function showStory(api: Api, accounts: readonly Account[], screen: Screen, signal: AbortSignal): Promise<void> {
  const late = accounts.find(({ person, isLate }) => isLate && person.device === 'works')
  if (late === undefined) return
  const story = await readStory(api, late.sequenceId, signal)
  screen.print(`\nWhy did ${late.person.userId} get a push?   GET /v1/sequences/${late.sequenceId}\n${storyLines(story).join('\n')}`)
}

const width = 110

function wrapped(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join('\n')
}
