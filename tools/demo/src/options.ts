// What the demo was asked for: its arguments and variables, read once and checked.
import { signInsOf } from '@stepcast/local'
import type { Access } from './api'
import type { Addresses } from './outside'

/** A system that runs already, as `dev.env` describes it. */
export interface RunningSystem extends Access {
  readonly workspaceId: string
  readonly sandboxUrl: string
  readonly addresses: Addresses
}

export interface Options {
  readonly seed: number
  /** Length of a "minute" of the windows. */
  readonly minuteMs: number
  /** Null: the demo starts one of its own. */
  readonly running: RunningSystem | null
  /** A service to be killed with SIGKILL half-way; null: none. */
  readonly kill: string | null
}

export const help = `npm run demo                          on a system of its own with minutes of 2.5 s; takes about 2 minutes
npm run demo -- --seed 7              other people
npm run demo -- --kill orchestrator   kill -9 of a service half-way: the numbers stay the same

With STEPCAST_URL set it uses the system there: first  set -a; source .stepcast/dev.env; set +a
STEPCAST_MINUTE_MS is the length of a minute: 2500 of its own system, else what that system has (60000).`

// Each of the three windows is 12.5 s then: short enough to watch, and long enough for people to act in time on two busy cores.
const ownMinuteMs = 2_500
const realMinuteMs = 60_000
const needed = [
  'STEPCAST_WORKSPACE_ID',
  'STEPCAST_API_KEY',
  'STEPCAST_SIGNING_KID',
  'STEPCAST_SIGNING_SECRET',
  'STEPCAST_SANDBOX_URL',
  'KAFKA_BROKERS',
  'SCHEMA_REGISTRY_URL',
] as const

/** @throws Error naming the argument or variable that cannot be used; null: help is wanted */
export function optionsOf(args: readonly string[], env: NodeJS.ProcessEnv): Options | null {
  const given = argumentsOf(args)
  if (given === null) return null
  const running = runningSystem(env)
  if (running !== null && given.has('--kill')) {
    throw new Error("--kill is for the demo's own system: unset STEPCAST_URL, or kill a service by hand.")
  }
  return {
    seed: whole('--seed', given.get('--seed'), 1),
    minuteMs: whole('STEPCAST_MINUTE_MS', env['STEPCAST_MINUTE_MS'], running === null ? ownMinuteMs : realMinuteMs),
    running,
    kill: given.get('--kill') ?? null,
  }
}

function argumentsOf(args: readonly string[]): Map<string, string> | null {
  const given = new Map<string, string>()
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i]!, args[i + 1]]
    if (name === '--help' || name === '-h') return null
    if (!['--seed', '--kill'].includes(name)) throw new Error(`Unknown argument ${name}. Try: npm run demo -- --help`)
    if (value === undefined) throw new Error(`${name} needs a value. Try: npm run demo -- --help`)
    given.set(name, value)
  }
  return given
}

function runningSystem(env: NodeJS.ProcessEnv): RunningSystem | null {
  const url = env['STEPCAST_URL']
  if (!url) return null
  const missing = needed.filter((name) => !env[name])
  if (missing.length > 0) throw new Error(`STEPCAST_URL is set, but not ${missing.join(', ')}: source the dev.env of that system.`)
  const of = (name: (typeof needed)[number]): string => env[name]!
  return {
    url: url.replace(/\/+$/, ''),
    workspaceId: of('STEPCAST_WORKSPACE_ID'),
    apiKey: of('STEPCAST_API_KEY'),
    signingKid: of('STEPCAST_SIGNING_KID'),
    signingSecret: of('STEPCAST_SIGNING_SECRET'),
    sandboxUrl: of('STEPCAST_SANDBOX_URL').replace(/\/+$/, ''),
    addresses: {
      KAFKA_BROKERS: of('KAFKA_BROKERS'),
      SCHEMA_REGISTRY_URL: of('SCHEMA_REGISTRY_URL'),
      ...signInsOf(env, { kafka: true, registry: true, database: false }),
    },
  }
}

function whole(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text.trim() === '') return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} is ${text}: it must be a whole number above 0.`)
  return value
}
