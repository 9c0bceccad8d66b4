// `npm run bench`: the engine at full speed, on real servers, with figures that anyone can reproduce.
import { fillStore } from './growth'
import { loadNow, machineOf, type Machine } from './machine'
import { ratio } from './numbers'
import { help, optionsOf, type BenchOptions } from './options'
import { runPeers, type Skipped } from './peers'
import { Progress } from './progress'
import { benchPush, type PushResult } from './push'
import { Recording } from './recording'
import { contestantsTable, judge, judgePush, ratiosOf, targetsTable, type Judged } from './report'
import type { Result } from './result'
import { Servers } from './servers'
import { Stepcast } from './workload'

/** What `--json` prints. */
interface Report {
  readonly machine: Machine
  readonly results: readonly Result[]
  /** Stepcast's sequences a second as a multiple of each peer's; with --filled of the filled store's to the empty one's. */
  readonly ratios: Readonly<Record<string, number>>
  readonly targets?: readonly Judged[]
  readonly skipped?: readonly Skipped[]
  /** What was asked for besides, in the words and figures of its mode. */
  readonly growth?: object
  /** With --push: rates, CPU and what was wrong. */
  readonly push?: PushResult
  /** The lines for people that are particular to the mode. */
  readonly words: readonly string[]
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2))
  if (options === null) return console.log(help)
  const loadAtStart = loadNow()
  const progress = new Progress(process.stderr, options.json ? process.stderr : process.stdout)
  const servers = await Servers.start(progress, options.mode === 'workload' && !options.peakOnly)
  const { n, processes, cpuProfiles } = options
  const stepcast = new Stepcast(servers, { n, processes, cpuProfiles }, progress)
  const stop = once(async () => {
    await stepcast.close()
    await servers.stop()
  })
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping = true
      void stop().finally(() => process.exit(130))
    })
  }
  try {
    const machine = await machineOf(servers, loadAtStart)
    if (options.mode !== 'push') await stepcast.prepare()
    const { words, ...report } = await modes[options.mode](options, machine, servers, stepcast, progress)
    // What a run says whose servers are being stopped under it is no figure.
    if (stopping) return
    console.log(options.json ? JSON.stringify(report, null, 2) : wordsOf(machine, words))
    const isRight = report.results.every(({ valid }) => valid) && (report.push?.problems.length ?? 0) === 0
    process.exitCode = isRight && !report.skipped?.some(({ failed }) => failed) ? 0 : 1
  } finally {
    await stop()
  }
}

type Mode = (options: BenchOptions, machine: Machine, servers: Servers, stepcast: Stepcast, progress: Progress) => Promise<Report>

const modes: Readonly<Record<BenchOptions['mode'], Mode>> = {
  workload: async (options, machine, servers, stepcast, progress) => {
    const recording = options.peers.includes('limit') ? new Recording(servers, stepcast) : null
    const peak = await stepcast.workload('bench', options.n, recording?.take)
    const lateness = options.peakOnly ? null : await stepcast.lateness()
    const latency = options.peakOnly ? null : await stepcast.latency(peak.phases.start / 2)
    const problems = [...peak.problems, ...(lateness?.problems ?? []), ...(latency?.problems ?? [])]
    const own: Result = {
      ...peak,
      latenessMs: lateness?.found ?? null,
      latencyMs: latency?.found ?? null,
      valid: problems.length === 0,
      problems,
    }
    await stepcast.stop()
    const { results: others, skipped } = await runPeers(
      servers,
      { names: options.peers, n: options.n, peerN: options.peerN, recording },
      progress,
    )
    const ratios = ratiosOf(own, others)
    const targets = judge(own, ratios)
    return {
      machine,
      results: [own, ...others],
      ratios,
      targets,
      skipped,
      words: [
        ...wordsOfStepcast(own),
        ...(others.length > 0 ? ['', contestantsTable([own, ...others], ratios)] : []),
        '',
        targetsTable(targets),
        ...skipped.map(({ name, reason }) => `\n${name} was left out: ${reason}`),
        ...others.flatMap(wrong),
      ],
    }
  },

  // Both runs begin with warm processes, so that the second does not look better for that.
  filled: async (options, machine, servers, stepcast, progress) => {
    const warmUp = 10_000
    await stepcast.backlog('warm-up', warmUp)
    const empty: Result = {
      ...(await stepcast.workload('empty', options.n)),
      name: 'stepcast, empty store',
      latenessMs: null,
      latencyMs: null,
    }
    await stepcast.stop()
    progress.done('\nfilling the store')
    const store = await fillStore(servers, options.fill, progress)
    progress.done('')
    await stepcast.backlog('warm-up-again', warmUp)
    const filled: Result = {
      ...(await stepcast.workload('filled', options.n)),
      name: 'stepcast, filled store',
      latenessMs: null,
      latencyMs: null,
    }
    const kept = ratio(filled.sequencesPerSecond, empty.sequencesPerSecond) ?? 0
    const verdict = kept >= 0.8 ? 'within the 20 % allowed' : 'NOT within the 20 % allowed'
    return {
      machine,
      results: [empty, filled],
      ratios: { 'filled/empty': kept },
      growth: store,
      words: [
        contestantsTable([empty, filled], {}),
        '',
        `With ${store.timers.toLocaleString('en')} waiting timers and ${store.events.toLocaleString('en')} stored events ` +
          `(${store.gigabytes} GB): ` +
          `${kept}× the empty store, ${verdict}.`,
        `The orchestrator's memory: at most ${empty.peakMemoryMb} MB on the empty store, ${filled.peakMemoryMb} MB on the filled one.`,
        ...[empty, filled].flatMap(wrong),
      ],
    }
  },

  backlog: async (options, machine, _servers, stepcast) => {
    const small = await stepcast.backlog('small', options.n)
    const large = await stepcast.backlog('large', options.n * 5)
    const grown = ratio(large.peakMemoryMb, small.peakMemoryMb) ?? 0
    return {
      machine,
      results: [],
      ratios: { 'memory at 5n/n': grown },
      growth: { backlogs: [small, large] },
      words: [
        `The orchestrator's memory: at most ${small.peakMemoryMb} MB with ${small.n.toLocaleString('en')} sends waiting, ` +
          `${large.peakMemoryMb} MB with ${large.n.toLocaleString('en')} (${grown}×).`,
      ],
    }
  },

  push: async (options, machine, servers, _stepcast, progress) => {
    const push = await benchPush(servers, { n: options.pushN, cpuProfiles: options.cpuProfiles }, progress)
    const targets = judgePush(push.ratio)
    const parts = Object.entries(push.cpuSecondsPer1000).map(([name, seconds]) => `${name} ${seconds}`)
    return {
      machine,
      results: [],
      ratios: { 'push/bare HTTP/2': push.ratio },
      targets,
      push,
      words: [
        `${push.pushesPerSecond.toLocaleString('en')} pushes/s from command to report, ledger included; ` +
          `a bare HTTP/2 client does ${push.loopsPerSecond.map((one) => one.toLocaleString('en')).join(' and ')}: ${push.ratio}×`,
        `CPU seconds per 1,000 pushes: ${parts.join(', ')}`,
        push.problems.length === 0 ? 'Every count is right.' : `WRONG: ${push.problems.join('; ')}`,
        '',
        targetsTable(targets),
      ],
    }
  },
}

const wrong = ({ name, valid, problems }: Result): string[] => (valid ? [] : [`${name} is WRONG: ${problems.join('; ')}`])

function wordsOfStepcast(result: Result): string[] {
  const parts = Object.entries(result.cpuSecondsPer1000).map(([name, seconds]) => `${name} ${seconds}`)
  return [
    `${result.sequencesPerSecond.toLocaleString('en')} sequences/s over all phases`,
    `CPU seconds per 1,000 sequences: ${parts.join(', ')}`,
    `${result.bytesPerSequence} bytes per sequence in PostgreSQL, history included; ` +
      `the orchestrator held at most ${result.peakMemoryMb} MB`,
    result.valid ? 'Every count is right.' : `WRONG: ${result.problems.join('; ')}`,
  ]
}

const wordsOf = (machine: Machine, words: readonly string[]): string =>
  [
    '',
    ...words,
    '',
    `${machine.date.slice(0, 16).replace('T', ' ')} UTC, ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ` +
      `load ${machine.loadAtStart} at the start; Node ${machine.node}, ` +
      `PostgreSQL ${machine.postgres} (synchronous_commit=${machine.synchronousCommit}), Kafka ${machine.kafka}`,
  ].join('\n')

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null
  return () => (done ??= work())
}

main().then(
  () => process.exit(),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
