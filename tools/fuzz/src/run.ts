// One run: good traffic and mutated records side by side, then everything read, probed and judged.
import { deadLetterTopic } from '@stepcast/contracts'
import { batchOf, Random, type WireRecord } from '@stepcast/chaos'
import { sleep } from '@stepcast/stack'
import { Letters } from './letters'
import { Mutator, type Shot } from './mutate'
import { Neighbour } from './neighbour'
import { probe } from './probes'
import { readersOf, type Standing } from './readers'
import { attacked, neighbour } from './records'
import { partitions, type RunningStage } from './stage'
import { Stage } from './stories'
import { judge, placeOf, sortLetters, tableOf, type Fired, type Outcome, type Problem } from './verdict'

/** How to run. */
export interface RunOptions {
  readonly stage: RunningStage
  readonly seed: number
  readonly minutes: number
  readonly only: ReadonlySet<number> | null
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/** What it came to. */
export interface Result {
  readonly seed: number
  readonly shots: number
  readonly onTopics: number
  readonly letters: number
  /** Stories of the neighbour, by how many ended as they must. */
  readonly stories: number
  readonly kept: number
  readonly restarts: readonly string[]
  readonly largestMb: number
  readonly table: readonly string[]
  readonly problems: readonly Problem[]
}

/** Two cores run everything: some twenty-five a second are more than a hundred records in each partition within half a minute. */
const shotEveryMs = 40
const progressEveryMs = 5_000
const maxBytes = 600 * 1024 * 1024
const readWithinMs = 30_000
const numbersWithinMs = 30_000
const remembered = 300

/** Runs. */
export async function run(options: RunOptions): Promise<Result> {
  const running = new Running(options)
  return running.play()
}

class Running {
  private readonly fired: Fired[] = []
  private readonly ownLetters = new Set<string>()
  private readonly foreign: string[] = []
  private readonly repeatable: { topic: string; partition: number; record: WireRecord }[] = []
  private readonly mutator: Mutator
  private readonly good: Neighbour
  private readonly stages: Readonly<Record<'neighbour' | 'attacked', Stage>>
  private readonly letters: Letters
  private readonly problems: Problem[] = []
  private readonly begin = Date.now()
  private unanswered = 0

  constructor(private readonly options: RunOptions) {
    const { stage, seed } = options
    const random = new Random(seed)
    const theatre = (workspaceId: string) => ({
      workspaceId,
      api: stage.api(workspaceId),
      wire: stage.wire,
      sandboxUrl: stage.system.sandboxUrl,
      partitions,
      schemaIds: stage.schemaIds,
    })
    this.stages = {
      neighbour: new Stage({
        ...theatre(neighbour),
        onMessage: (messageId) => remember(this.foreign, messageId),
        onRecord: (topic, partition, record) => remember(this.repeatable, { topic, partition, record }),
      }),
      attacked: new Stage(theatre(attacked)),
    }
    this.mutator = new Mutator({
      random: random.fork(),
      run: `s${seed}`,
      partitions,
      now: Date.now,
      schemaIds: stage.schemaIds,
      known: () => ({ sequences: [], foreign: this.foreign }),
      repeatable: () => this.repeatable,
    })
    this.good = new Neighbour(this.stages.neighbour, random.fork())
    this.letters = new Letters(stage.wire, partitions)
  }

  async play(): Promise<Result> {
    const { stage, minutes, onProgress } = this.options
    this.good.start()
    const shown = setInterval(() => onProgress(this.line()), progressEveryMs)
    try {
      await this.shoot(Date.now() + minutes * 60_000)
      onProgress(`${this.line()}. Now everything must end, be read, and work.`)
      const flushed = await this.fire(this.mutator.flush())
      const [probed, others] = [probe(this.stages.neighbour), probe(this.stages.attacked)]
      await this.good.stop()
      await this.standsStill(flushed)
      this.add('probes failed', [...(await probed), ...(await others)])
      await this.numbers()
      await this.letters.readAll()
      this.add(
        'stories of the neighbour went wrong',
        this.good.problems.map(({ script, sequenceId, problem }) => `${script} (${sequenceId}): ${problem}`),
      )
      this.add('services ended and were started again', stage.restarts)
      this.add(
        'services held more than 600 MB',
        [...stage.memory].flatMap(([name, bytes]) => (bytes > maxBytes ? [`${name} ${megabytes(bytes)} MB`] : [])),
      )
      const readiness = await stage.readiness().catch((error: Error) => error.message)
      this.add('address says that it is not ready', readiness === null ? [] : [readiness])
      return await this.result()
    } finally {
      clearInterval(shown)
    }
  }

  // ── Shots ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async shoot(until: number): Promise<void> {
    const { only, signal } = this.options
    while (Date.now() < until) {
      signal.throwIfAborted()
      const shots = this.mutator.next().filter(({ id }) => only === null || only.has(Number(id.split('-')[1])))
      if (shots.length > 0) await this.fire(shots)
      await sleep(only === null ? shotEveryMs : 1)
      if (this.fired.length % 50 === 0) await this.letters.read()
    }
  }

  private async fire(shots: readonly Shot[]): Promise<readonly Fired[]> {
    const fired: Fired[] = []
    for (const shot of shots) {
      try {
        const { error, offset } = await this.put(shot)
        const one = { shot, error, offset }
        this.fired.push(one)
        fired.push(one)
        if (shot.topic === deadLetterTopic.name && error === 0) this.ownLetters.add(`${shot.partition}/${offset}`)
      } catch {
        // Whether Kafka has it nobody knows: it is judged by nothing.
        this.unanswered++
      }
    }
    return fired
  }

  private put({ id, topic, partition, records, front, transaction }: Shot): Promise<{ error: number; offset: number }> {
    const { wire } = this.options.stage
    if (transaction === null) return wire.produce(topic, partition, batchOf(records, Date.now(), front))
    return wire.produceInTransaction(id, topic, partition, transaction === 'committed', (producerId, epoch) =>
      batchOf(records, Date.now(), { ...front, transaction: { producerId, epoch, sequence: 0 } }),
    )
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Every reader must have read what was written last into every partition. */
  private async standsStill(flushed: readonly Fired[]): Promise<void> {
    let behind: Standing[] = []
    for (const deadline = Date.now() + readWithinMs; ; await sleep(500)) {
      const standings = await this.options.stage.standings()
      behind = flushed.flatMap(({ shot, offset }) =>
        standings.filter((one) => one.topic === shot.topic && one.partition === shot.partition && one.offset <= offset),
      )
      if (behind.length === 0 || Date.now() > deadline) break
    }
    // What stands at the next offset is what it cannot get past, or the batch that holds that.
    const blame = ({ topic, partition, offset }: Standing): string => {
      const after = this.fired
        .filter(({ shot, error, offset: at }) => error === 0 && shot.topic === topic && shot.partition === partition && at >= offset)
        .sort((a, b) => a.offset - b.offset)
      return after.length === 0 ? 'behind it stands no record of ours' : `next: ${after.slice(0, 3).map(placeOf).join('; ')}`
    }
    this.add(
      'partitions stand still',
      behind.map((one) => `${one.reader} at ${one.topic}/${one.partition}/${one.offset}; ${blame(one)}`),
    )
  }

  /** The neighbour's numbers are what its scripts say. */
  private async numbers(): Promise<void> {
    const { api } = this.stages.neighbour.of
    const differences = async (): Promise<string[]> => {
      const found: string[] = []
      for (const [templateId, expected] of this.good.expectedNumbers()) {
        const told = await api
          .call<Told>('GET', `/v1/metrics/templates/${templateId}`, { patienceMs: 10_000 })
          .catch((error: Error) => error)
        if (told instanceof Error) found.push(`${templateId}: ${told.message}`)
        else
          for (const [name, n] of expected)
            if (valueOf(told, name) !== n) found.push(`${templateId}: ${name} is ${valueOf(told, name)}, not ${n}`)
      }
      return found
    }
    let found = await differences()
    for (const deadline = Date.now() + numbersWithinMs; found.length > 0 && Date.now() < deadline; found = await differences())
      await sleep(1_000)
    this.add('numbers of the neighbour are wrong', found)
  }

  private async result(): Promise<Result> {
    const { stage, seed } = this.options
    const outcome = await this.outcome()
    const sorted = sortLetters(outcome)
    const { stories } = this.good
    return {
      seed,
      shots: this.fired.length,
      onTopics: this.fired.filter(({ error }) => error === 0).length,
      letters: this.letters.all.length,
      stories: stories.length,
      kept: stories.filter(({ problem }) => problem === null).length,
      restarts: stage.restarts,
      largestMb: Math.max(...[...stage.memory.values()].map(megabytes)),
      table: tableOf(outcome, sorted),
      problems: [...this.problems, ...judge(outcome, sorted)],
    }
  }

  private async outcome(): Promise<Outcome> {
    const asked = this.fired.flatMap(({ shot }) => [...shot.starts, ...shot.neverStarts])
    return {
      fired: this.fired,
      letters: this.letters.all,
      ownLetters: this.ownLetters,
      readersOf: (topic) => Math.max(1, readersOf(topic)),
      started: await this.options.stage.started(asked),
    }
  }

  private add(what: string, places: readonly string[]): void {
    if (places.length > 0) this.problems.push({ what: `${places.length} ${what}`, places: places.slice(0, 20) })
  }

  private line(): string {
    const { stories } = this.good
    const { stage } = this.options
    const [largest, bytes] = [...stage.memory].sort((a, b) => b[1] - a[1])[0] ?? ['none', 0]
    const parts = [
      `${String(Math.round((Date.now() - this.begin) / 1_000)).padStart(4)} s  ${this.fired.length} shots`,
      `${this.letters.all.length} dead letters`,
      `the neighbour: ${stories.filter(({ problem }) => problem === null).length} of ${stories.length} ended, ${this.good.problems.length} wrong`,
      `${stage.restarts.length} restarts`,
      `largest: ${largest} ${megabytes(bytes)} MB`,
      ...(this.unanswered > 0 ? [`${this.unanswered} unanswered`] : []),
    ]
    return parts.join(', ')
  }
}

interface Told {
  readonly recipients: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly steps: readonly (Readonly<Record<string, unknown>> & { readonly step: number })[]
}

/** `recipients`, `outcomes.stopped`, `1.waitElapsed` of what the metrics tell. */
function valueOf({ recipients, outcomes, steps }: Told, name: string): number {
  if (name === 'recipients') return recipients
  const [first, second] = name.split('.') as [string, string]
  if (first === 'outcomes') return outcomes[second] ?? 0
  return Number(steps.find(({ step }) => step === Number(first))?.[second] ?? 0)
}

const megabytes = (bytes: number): number => Math.round(bytes / 1024 / 1024)

function remember<T>(all: T[], one: T): void {
  all.push(one)
  if (all.length > remembered) all.shift()
}
