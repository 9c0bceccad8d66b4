// The live table of steps, and the place where it is drawn. `rows` is pure.
import { clearScreenDown, moveCursor } from 'node:readline'
import { outcomes, type ChannelNumbers, type Numbers, type StepNumbers } from './numbers'

/** What the table shows. */
export interface Progress {
  /** Seconds since the first send. */
  readonly elapsedS: number
  readonly people: number
  readonly sent: number
  /** Null before metrics-svc has answered for the first time. */
  readonly numbers: Numbers | null
  /** metrics-svc did not answer this time: the numbers are older. */
  readonly stale: boolean
}

type Table<T> = readonly (readonly [title: string, of: (one: T) => number | null])[]

const ofSteps: Table<StepNumbers> = [
  ['entered', ({ entered }) => entered],
  ['running', ({ running }) => running],
  ['stopped', ({ stopped }) => stopped],
  ['waitElapsed', ({ waitElapsed }) => waitElapsed],
  ['failed', ({ failed }) => failed],
  ['skipped', ({ skipped }) => skipped],
  ['completed', ({ completed }) => completed],
  ['regretted', ({ regretted }) => regretted],
]
const ofMessages: Table<ChannelNumbers> = [
  ['requested', ({ requested }) => requested],
  ['delivered', ({ delivered }) => delivered],
  ['viewed', ({ viewed }) => viewed],
  ['clicked', ({ clicked }) => clicked],
  ['failed', ({ failed }) => failed],
  ['skipped', ({ skipped }) => skipped],
  ['unknown', ({ unknown }) => unknown],
]

const nameWidth = 9

/** A head and a line for each; null is a dash. */
const lines = <T>(head: string, table: Table<T>, all: readonly (readonly [name: string, one: T])[]): string[] => [
  [head.padEnd(nameWidth), ...table.map(([title]) => title)].join(' '),
  ...all.map(([name, one]) =>
    [name.padEnd(nameWidth), ...table.map(([title, of]) => String(of(one) ?? '–').padStart(title.length))].join(' '),
  ),
]

const nameOf = ({ step, channels }: StepNumbers): string => `${step} ${channels.map(({ channelType }) => channelType).join(', ')}`

/** The table as lines that fit a terminal of 80 columns. */
export function rows({ elapsedS, people, sent, numbers, stale }: Progress): string[] {
  const ended = numbers === null ? 0 : numbers.recipients - numbers.outcomes.running
  const clock = `${Math.floor(elapsedS / 60)}:${String(elapsedS % 60).padStart(2, '0')}`
  const head = `${clock}   sent ${sent}/${people}   ended ${ended}/${people}   ${bar(ended, people)}${stale ? '   no answer' : ''}`
  if (numbers === null) return [head]
  return [
    head,
    '',
    ...lines(
      'step',
      ofSteps,
      numbers.steps.map((step) => [nameOf(step), step]),
    ),
    '',
    ...lines(
      'messages',
      ofMessages,
      numbers.steps.flatMap((step) =>
        step.channels.map((channel): [string, ChannelNumbers] => [`${step.step} ${channel.channelType}`, channel]),
      ),
    ),
    '',
    `outcomes  ${outcomes.map((outcome) => `${outcome} ${numbers.outcomes[outcome]}`).join('   ')}`,
  ]
}

/** The table as one line, for a log. */
export function oneLine({ elapsedS, people, sent, numbers, stale }: Progress): string {
  if (numbers === null) return `${elapsedS} s: sent ${sent}/${people}`
  const steps = numbers.steps.map(
    (step) =>
      `step ${nameOf(step)}: ${step.entered} entered, ${step.running} running, ${step.stopped} stopped, ${step.completed} completed`,
  )
  const ended = numbers.recipients - numbers.outcomes.running
  return `${elapsedS} s: sent ${sent}/${people}, ended ${ended}; ${steps.join('; ')}${stale ? ' (no answer: older numbers)' : ''}`
}

const barWidth = 24

function bar(part: number, whole: number): string {
  const filled = whole === 0 ? 0 : Math.floor((barWidth * Math.min(part, whole)) / whole)
  return '█'.repeat(filled) + '░'.repeat(barWidth - filled)
}

// A log wants to know that it goes on, not every second of it.
const lineEveryS = 5

/** Where progress is shown: in place on a terminal, as a line now and then in a log. */
export class Screen {
  private drawn = 0
  private lastLineAt = -Infinity

  constructor(private readonly out: NodeJS.WriteStream) {}

  /** Draws the table over the one before. */
  draw(progress: Progress): void {
    if (!this.out.isTTY) {
      if (progress.elapsedS - this.lastLineAt < lineEveryS) return
      this.lastLineAt = progress.elapsedS
      this.out.write(`${oneLine(progress)}\n`)
      return
    }
    this.clear()
    // A line that wraps would be two to go up.
    const drawn = rows(progress).map((line) => line.slice(0, Math.max(20, this.out.columns - 1)))
    this.out.write(`${drawn.join('\n')}\n`)
    this.drawn = drawn.length
  }

  /** Prints above the table, which comes back with the next draw. */
  print(text: string): void {
    this.clear()
    this.out.write(`${text}\n`)
  }

  /** What is drawn stays. */
  keep(): void {
    this.drawn = 0
  }

  private clear(): void {
    if (this.drawn === 0) return
    moveCursor(this.out, 0, -this.drawn)
    clearScreenDown(this.out)
    this.drawn = 0
  }
}
