// The command line of the benchmark.
import { parseArgs } from 'node:util'

/** The systems that `--peers` runs beside Stepcast, each a folder of `bench/peers/`. */
export const peerNames = ['limit', 'naive', 'pg-boss', 'bullmq', 'dbos'] as const
export type PeerName = (typeof peerNames)[number]

/** What to run. */
export interface BenchOptions {
  readonly n: number
  /** Orchestrator processes. */
  readonly processes: number
  /**
   * `workload`: the four phases and what follows; `filled`: on an empty and on a filled store; `backlog`: memory at two backlogs;
   * `push`: pushes through the dispatcher beside a bare HTTP/2 client.
   */
  readonly mode: 'workload' | 'filled' | 'backlog' | 'push'
  /** With `push`: how many. */
  readonly pushN: number
  /** Leave out lateness and latency. */
  readonly peakOnly: boolean
  /** The peers to run as well. */
  readonly peers: readonly PeerName[]
  /** Sequences for every peer but `limit`, instead of each peer's own number; null: its own. */
  readonly peerN: number | null
  /** With `filled`: waiting timers and stored events. */
  readonly fill: { readonly timers: number; readonly events: number }
  /** Write CPU profiles of the orchestrators here. */
  readonly cpuProfiles: string | null
  readonly json: boolean
}

export const help = `npm run bench -- [options]
  --n 90000            sequences of two steps; half are stopped in time, half time out
  --processes 1        orchestrator processes
  --peak-only          leave out timer lateness and latency
  --peers              the same workload on ${peerNames.join(', ')} as well
  --only naive,dbos    only these peers
  --peer-n 5000        sequences for each peer (limit has Stepcast's), instead of its own number
  --filled             the workload on an empty store, then on a filled one, and their ratio
  --timers 1000000     with --filled: waiting timers
  --events 10000000    with --filled: stored events
  --backlog            the orchestrator's memory with n and with five times n sends waiting
  --push               pushes through the push dispatcher, ledger included, beside a bare HTTP/2 client on the same sandbox
  --push-n 10000       with --push: how many
  --cpu-profiles DIR   write CPU profiles of the orchestrators (with --push: of dispatcher and sandbox)
  --json               print one object and nothing else (npm itself is silent with \`npm run -s bench -- --json\`)`

/** The words of a command line that cannot be followed, and what is allowed. */
class WrongOption extends Error {}

/**
 * Reads the command line; null: help was asked for.
 * @throws WrongOption saying what is allowed
 */
export function optionsOf(args: readonly string[]): BenchOptions | null {
  const values = parse(args)
  if (values.help) return null
  const modes = (['filled', 'backlog', 'push'] as const).filter((mode) => values[mode])
  if (modes.length > 1) throw new WrongOption('--filled, --backlog and --push are runs of their own: give one of them')
  const mode = modes[0] ?? 'workload'
  const wantsPeers = values.peers || values.only !== undefined
  if (wantsPeers && mode !== 'workload') throw new WrongOption(`--${mode} is a run of its own, without peers`)
  if (mode !== 'filled' && (values.timers !== undefined || values.events !== undefined))
    throw new WrongOption('--timers and --events go with --filled')
  if (mode !== 'push' && values['push-n'] !== undefined) throw new WrongOption('--push-n goes with --push')
  return {
    n: whole('n', values.n ?? (mode === 'filled' ? '30000' : '90000'), 1_000, 2_000_000),
    processes: whole('processes', values.processes ?? '1', 1, 12),
    mode,
    // Even: half of them go to each provider.
    pushN: 2 * Math.floor(whole('push-n', values['push-n'] ?? '10000', 1_000, 1_000_000) / 2),
    peakOnly: values['peak-only'] ?? false,
    peers: wantsPeers ? peersOf(values.only) : [],
    peerN: values['peer-n'] === undefined ? null : whole('peer-n', values['peer-n'], 100, 1_000_000),
    fill: {
      timers: whole('timers', values.timers ?? '1000000', 1_000, 10_000_000),
      events: whole('events', values.events ?? '10000000', 10_000, 100_000_000),
    },
    cpuProfiles: values['cpu-profiles'] ?? null,
    json: values.json ?? false,
  }
}

type Values = Partial<
  Record<'n' | 'processes' | 'only' | 'peer-n' | 'timers' | 'events' | 'push-n' | 'cpu-profiles', string> &
    Record<'peak-only' | 'peers' | 'filled' | 'backlog' | 'push' | 'json' | 'help', boolean>
>

function parse(args: readonly string[]): Values {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        n: text,
        processes: text,
        only: text,
        'peer-n': text,
        timers: text,
        events: text,
        'cpu-profiles': text,
        'peak-only': flag,
        peers: flag,
        filled: flag,
        backlog: flag,
        push: flag,
        'push-n': text,
        json: flag,
        help: flag,
      },
    }).values
  } catch (error) {
    throw new WrongOption(`${(error as Error).message.split('. ')[0]}. What is allowed:\n\n${help}`)
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= least && number <= most) return number
  throw new WrongOption(`--${name} ${text}: give a whole number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}`)
}

function peersOf(only: string | undefined): PeerName[] {
  if (only === undefined) return [...peerNames]
  const wanted = only.split(',').map((word) => word.trim())
  const unknown = wanted.filter((word) => !peerNames.includes(word as PeerName))
  if (unknown.length > 0)
    throw new WrongOption(
      `--only ${only}: there is no peer ${unknown.map((word) => `"${word}"`).join(', ')}; there are ${peerNames.join(', ')}`,
    )
  return peerNames.filter((name) => wanted.includes(name))
}
