// The neighbour: good traffic all the time, of which each sequence must end as its script says and each number be exact.
import { messageIdOf, type ChannelType } from '@stepcast/contracts'
import type { Random } from '@stepcast/chaos'
import { sleep } from '@stepcast/stack'
import type { Door, Stage, Story } from './stories'
import type { TemplateName } from './templates'

interface Script {
  readonly name: string
  readonly templateId: TemplateName
  readonly expected: string
  /** What happens once the person is there, the send included. */
  readonly play: (stage: Stage, story: Story, send: () => Promise<void>) => Promise<void>
}

const reacting =
  (react: (stage: Stage, story: Story) => Promise<unknown>): Script['play'] =>
  async (stage, story, send) => {
    await send()
    await react(stage, story)
  }

/** Whether each of these messages was taken once by its provider. */
async function arrivedOnce(stage: Stage, { sequenceId }: Story, messages: readonly (readonly [number, ChannelType])[]): Promise<void> {
  for (const [step, channel] of messages) {
    const times = await stage.arrivals(messageIdOf(sequenceId, step, channel))
    if (times !== 1) throw new Error(`the message of step ${step} arrived ${times} times`)
  }
}

const scripts: readonly Script[] = [
  { name: 'viewed', templateId: 'feed-first', expected: '1 stopped, stopped', play: reacting((stage, story) => stage.view(story)) },
  {
    name: 'nobody reacts',
    templateId: 'quick-chain',
    expected: '1 waitElapsed, 2 waitElapsed, 3 waitElapsed, 4 completed, exhausted',
    play: async (stage, story, send) => {
      await send()
      await stage.ended(story)
      await arrivedOnce(stage, story, [
        [2, 'push'],
        [3, 'sms'],
        [4, 'kakao'],
      ])
    },
  },
  {
    name: 'push tapped',
    templateId: 'push-first',
    expected: '1 stopped, stopped',
    play: reacting((stage, story) => stage.tap(story, 1, 'push')),
  },
  {
    name: 'text tapped',
    templateId: 'text-first',
    expected: '1 stopped, stopped',
    play: reacting((stage, story) => stage.tap(story, 1, 'sms')),
  },
  {
    name: 'Alimtalk tapped',
    templateId: 'kakao-first',
    expected: '1 stopped, stopped',
    play: reacting((stage, story) => stage.tap(story, 1, 'kakao')),
  },
  {
    name: 'cancelled',
    templateId: 'feed-first',
    expected: '1 cancelled, cancelled',
    play: async (stage, story, send) => {
      await send()
      await stage.requested(story)
      await stage.of.api.call('POST', `/v1/sequences/${story.sequenceId}/cancel`)
    },
  },
  {
    name: 'erased',
    templateId: 'feed-first',
    expected: '1 cancelled, cancelled',
    play: async (stage, story, send) => {
      await send()
      await stage.requested(story)
      await stage.of.api.call('DELETE', `/v1/users/${story.userId}`)
    },
  },
  {
    name: 'viewed early',
    templateId: 'feed-first',
    expected: '1 stopped, stopped',
    play: async (stage, story, send) => {
      await stage.report(messageIdOf(story.sequenceId, 1, 'in_app'), 'viewed')
      await send()
    },
  },
]

const everyMs = 400
/** So many go on at the same time: where the product stands still, more would only wait. */
const atOnce = 14

/** Plays until it is told to stop. */
export class Neighbour {
  readonly stories: Story[] = []
  private readonly playing = new Set<Promise<void>>()
  private deck: Script[] = []
  private over = false
  private running: Promise<void> = Promise.resolve()
  private n = 0

  constructor(
    private readonly stage: Stage,
    private readonly random: Random,
  ) {}

  start(): void {
    this.running = this.run()
  }

  /** Begins nothing new, and waits for what has begun. */
  async stop(): Promise<void> {
    this.over = true
    await this.running
    await Promise.all(this.playing)
  }

  /** Stories that have not ended as they must; those still going on are none. */
  get problems(): readonly Story[] {
    return this.stories.filter(({ problem }) => typeof problem === 'string')
  }

  /** Recipients, outcomes and ends of steps by template, as the metrics must tell them once all is over. */
  expectedNumbers(): ReadonlyMap<TemplateName, ReadonlyMap<string, number>> {
    const numbers = new Map<TemplateName, Map<string, number>>()
    for (const { templateId, expected } of this.stories) {
      let counts = numbers.get(templateId)
      if (counts === undefined) numbers.set(templateId, (counts = new Map()))
      const ends = expected.split(', ')
      for (const name of ['recipients', `outcomes.${ends.pop()}`, ...ends.map((end) => end.replace(' ', '.'))])
        counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    return numbers
  }

  private async run(): Promise<void> {
    while (!this.over) {
      await sleep(everyMs)
      if (this.playing.size >= atOnce || this.over) continue
      if (this.deck.length === 0) this.deck = this.random.shuffled(scripts)
      const door = this.random.pick<Door>(['http', 'http', 'kafka', 'kafka', 'kafkaElsewhere'])
      const playing: Promise<void> = this.play(this.deck.pop()!, door).finally(() => this.playing.delete(playing))
      this.playing.add(playing)
    }
  }

  private async play({ name: script, templateId, expected, play }: Script, door: Door): Promise<void> {
    const { stage } = this
    const name = String(++this.n)
    // An early report names a send that is not made yet: its id is the producer's.
    const story = stage.story(script, templateId, name, door, expected)
    this.stories.push(story)
    try {
      await stage.register(story)
      stage.of.onMessage?.(messageIdOf(story.sequenceId, 1, 'in_app'))
      await play(stage, story, () => stage.send(story, door, name))
      await stage.ended(story)
      story.problem = null
    } catch (error) {
      story.problem = (error as Error).message
    }
  }
}
