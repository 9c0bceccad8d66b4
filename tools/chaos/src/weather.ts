// What goes on beside the faults: bad providers, records that nobody can use, opt-outs, edits, a noisy workspace.
import { sleep } from '@stepcast/stack'
import type { Load } from './load'
import type { Random } from './random'
import type { RunningStage } from './stage'

/** What the weather is made of. */
export interface WeatherOptions {
  readonly stage: RunningStage
  readonly load: Load
  readonly random: Random
  /** Sequences that the noisy workspace sends at once; 0: it is quiet. */
  readonly noise: number
  /** Something could not be done. */
  readonly onProblem: (what: string) => void
}

// Each for eight seconds, in an order that the seed decides.
const phases = [
  [{ mode: '429', rate: 0.3, retryAfterS: 1 }],
  [{ mode: '500', rate: 0.3 }],
  [{ mode: 'hang', rate: 0.15 }],
  [{ mode: 'accept-then-reset', rate: 0.2 }],
  [{ mode: 'slow', rate: 0.3, delayMs: 800 }],
  [
    { mode: '429', rate: 0.1 },
    { mode: 'hang', rate: 0.05 },
    { mode: 'accept-then-reset', rate: 0.1 },
  ],
]

/** Bad weather until it is ended. */
export class Weather {
  private over = false

  constructor(private readonly options: WeatherOptions) {}

  begin(): void {
    const { stage, load, random, noise } = this.options
    const inOrder = random.shuffled(phases)
    const optingOut = random.shuffled(stage.people.filter(({ devices }) => devices === 'one')).slice(0, 20)
    this.repeat(0, 8_000, (time) => stage.setProviderFaults(inOrder[time % inOrder.length]!))
    this.repeat(4_000, 25_000, () => load.putPoison())
    this.repeat(3_000, 7_000, (time) => {
      const person = optingOut[time]
      if (person !== undefined) load.optOut(person.userId, time % 2 === 0 ? 'push' : 'in_app')
    })
    this.repeat(500, 12_000, () => load.erase())
    this.repeat(10_000, 30_000, (time) => load.editTemplate(time + 2))
    if (noise > 0) this.repeat(15_000, 60_000, () => load.burst(noise))
  }

  /** Fine weather from now on. */
  async end(): Promise<void> {
    this.over = true
    await this.options.stage.setProviderFaults([])
  }

  private repeat(firstMs: number, everyMs: number, work: (time: number) => Promise<void> | void): void {
    void (async () => {
      await sleep(firstMs)
      for (let time = 0; !this.over; time++) {
        await Promise.resolve(work(time)).catch((error: Error) => this.options.onProblem(error.message))
        await sleep(everyMs)
      }
    })()
  }
}
