// What metrics know of one sequence, as a short text: sequences with equal texts count alike, so rows group by it.
import type { EngagementKind, SequenceChanged, SequenceOutcome, StepEndReason } from '@stepcast/contracts'
import { channelOf, isStep } from './asItStands'

/**
 * `<outcome> <steps> <messages>`, e.g. `s WS 1.in_app:rv 2.push:r`:
 * the outcome's letter; a letter per step in order, upper-case once regretted (`-` before any step); the kinds reported of
 * each message. About 40 bytes where JSON would take 150, and still readable in psql.
 */
export type State = string

type Letters<Name extends string> = Readonly<Record<Name, string>>

const outcomeLetters: Letters<'running' | SequenceOutcome> = {
  running: 'r',
  stopped: 's',
  exhausted: 'e',
  unreachable: 'u',
  cancelled: 'c',
}

const stepLetters: Letters<'running' | StepEndReason> = {
  running: 'r',
  stopped: 's',
  waitElapsed: 'w',
  failed: 'f',
  skipped: 'k',
  expired: 'x',
  superseded: 'p',
  cancelled: 'c',
  completed: 'd',
}

const kindLetters: Letters<EngagementKind> = {
  requested: 'r',
  delivered: 'd',
  viewed: 'v',
  clicked: 'c',
  failed: 'f',
  skipped: 's',
  unknown: 'u',
}

const neverEntered = '.'
const noSteps = '-'

/** The eight ways a step ends. */
export const stepEndReasons = Object.keys(stepLetters).filter((name) => name !== 'running') as StepEndReason[]
/** The ways a sequence ends, after `running`. */
export const outcomes = Object.keys(outcomeLetters) as ('running' | SequenceOutcome)[]
/** The kinds that are counted per message. */
export const engagementKinds = Object.keys(kindLetters) as EngagementKind[]

/** A sequence that has just started. */
export const started: State = `${outcomeLetters.running} ${noSteps}`

/** The state after one more change. What it does not speak of stays; nothing in it makes this throw, and steps no template has count nowhere. */
export function evolve(state: State, events: SequenceChanged['events']): State {
  let [outcome, steps, ...messages] = state.split(' ') as [string, string, ...string[]]
  for (const event of events) {
    if (event.type !== 'SequenceStarted' && event.type !== 'SequenceEnded' && !isStep(event.step)) continue
    switch (event.type) {
      case 'SequenceStarted':
        break
      case 'StepCommanded':
      case 'StepDeferred':
        // A step is entered once; quiet hours may command its channels in several groups.
        if (letterAt(steps, event.step) === neverEntered) steps = withLetter(steps, event.step, stepLetters.running)
        break
      case 'EngagementRecorded':
        messages = withKind(messages, `${event.step}.${channelOf(event.channelType)}`, kindLetters[event.kind])
        break
      case 'StepEnded':
        steps = withLetter(steps, event.step, stepLetters[event.reason])
        break
      case 'EscalationRegretted':
        steps = withLetter(steps, event.step, letterAt(steps, event.step).toUpperCase())
        break
      case 'SequenceEnded':
        outcome = outcomeLetters[event.outcome]
        break
    }
  }
  return [outcome, steps, ...messages].join(' ')
}

const letterAt = (steps: string, step: number): string => (steps === noSteps ? neverEntered : steps.charAt(step - 1) || neverEntered)

function withLetter(steps: string, step: number, letter: string): string {
  const known = steps === noSteps ? '' : steps
  const before = known.slice(0, step - 1).padEnd(step - 1, neverEntered)
  return before + letter + known.slice(step)
}

// Messages in the order of step and channel, kinds in the order of the table above: equal facts give equal texts.
function withKind(messages: string[], message: string, kind: string): string[] {
  const index = messages.findIndex((entry) => entry.startsWith(`${message}:`))
  if (index < 0) return [...messages, `${message}:${kind}`].sort(byStepAndChannel)
  const kinds = messages[index]!.slice(message.length + 1)
  if (kinds.includes(kind)) return messages
  const ordered = Object.values(kindLetters)
    .filter((letter) => letter === kind || kinds.includes(letter))
    .join('')
  return messages.with(index, `${message}:${ordered}`)
}

const byStepAndChannel = (a: string, b: string): number => parseInt(a, 10) - parseInt(b, 10) || (a < b ? -1 : 1)

/** A thing counted: of the sequence (step 0, no channel), of a step (no channel), or of a message (step and channel). */
export interface Fact {
  readonly step: number
  readonly channelType: string
  readonly name: string
}

// Distinct states of a workspace's templates are hundreds; far more means many long templates, and forgetting only costs time.
const maxRemembered = 20_000
const remembered = new Map<State, readonly Fact[]>()

/** Everything that is counted of a sequence in this state, each once; equal facts are the same object. All metrics are sums of these. */
export function factsOf(state: State): readonly Fact[] {
  const before = remembered.get(state)
  if (before) return before
  const facts = readFacts(state)
  if (remembered.size >= maxRemembered) remembered.clear()
  remembered.set(state, facts)
  return facts
}

// One object per fact, so that counters are maps keyed by it: between two batches all may be forgotten, within one none. Ours have some
// dozens; only channels that nobody has could make them many.
const maxKnown = 50_000
const known = new Map<string, Fact>()

/** Keeps what is remembered of facts within bounds. Facts read before are other objects than those read after. */
export function forgetFactsIfMany(): void {
  if (known.size < maxKnown) return
  known.clear()
  remembered.clear()
}

function factOf(step: number, channelType: string, name: string): Fact {
  const key = `${step}/${channelType}/${name}`
  let fact = known.get(key)
  if (!fact) known.set(key, (fact = { step, channelType, name }))
  return fact
}

function readFacts(state: State): Fact[] {
  const [outcome, steps, ...messages] = state.split(' ') as [string, string, ...string[]]
  return [
    factOf(0, '', 'recipients'),
    factOf(0, '', nameOf(outcomeLetters, outcome)),
    ...(steps === noSteps ? [] : [...steps].flatMap((letter, index) => stepFacts(index + 1, letter))),
    ...messages.flatMap(messageFacts),
  ]
}

function stepFacts(step: number, letter: string): Fact[] {
  if (letter === neverEntered) return []
  const names = ['entered', nameOf(stepLetters, letter.toLowerCase())]
  if (letter !== letter.toLowerCase()) names.push('regretted')
  return names.map((name) => factOf(step, '', name))
}

function messageFacts(message: string): Fact[] {
  const [, step, channelType, kinds] = /^(\d+)\.(\w+):(\w+)$/.exec(message)! as unknown as [string, string, string, string]
  const names: string[] = engagementKinds.filter((kind) => kinds.includes(kindLetters[kind]))
  // Clicked implies viewed implies delivered; what was not reported itself is counted apart.
  const { delivered, viewed, clicked } = kindLetters
  if (!kinds.includes(delivered) && (kinds.includes(viewed) || kinds.includes(clicked))) names.push('inferredDelivered')
  if (!kinds.includes(viewed) && kinds.includes(clicked)) names.push('inferredViewed')
  return names.map((name) => factOf(Number(step), channelType, name))
}

function nameOf(letters: Letters<string>, letter: string): string {
  const found = Object.entries(letters).find(([, known]) => known === letter)
  if (!found) throw Object.assign(new Error(`"${letter}" is no letter of a state`), { retriable: false })
  return found[0]
}
