// What `npm run chaos` was asked for, read once and checked.

export interface Options {
  /** Faults to strike. */
  readonly kills: number
  readonly seed: number
  /** Only faults that are over at once, and a shorter warming up: for `npm test`. */
  readonly isShort: boolean
  /** Broken builds to be caught instead of a run of the true one: all of them, or one by name. */
  readonly mutants: 'none' | 'all' | string
  /** Print the result as JSON as well, on the last line. */
  readonly json: boolean
  /** Keep data and logs also when all is well. */
  readonly keep: boolean
}

export const help = `npm run chaos                          16 faults under load; under 5 minutes
npm run chaos -- --kills 50            more of them
npm run chaos -- --seed 7              this load and this plan of faults
npm run chaos -- --short --kills 5     only faults that are over at once; some two minutes
npm run chaos -- --mutants             ten builds with one thing broken on purpose: each must be caught
npm run chaos -- --mutant <name>       one of them
npm run chaos -- --json                the result as one line of JSON at the end
npm run chaos -- --keep                keeps data and logs (kept anyway after a failure)`

const usualKills = 16
const seeds = 100_000

/** @throws Error naming the argument that cannot be used; null: help is wanted */
export function optionsOf(args: readonly string[], random: () => number = Math.random): Options | null {
  const values = new Map<string, string>()
  const flags = new Set<string>()
  for (let i = 0; i < args.length; i++) {
    const name = args[i]!
    if (name === '--help' || name === '-h') return null
    if (['--short', '--mutants', '--json', '--keep'].includes(name)) flags.add(name)
    else if (['--kills', '--seed', '--mutant'].includes(name)) {
      const value = args[++i]
      if (value === undefined) throw new Error(`${name} needs a value. Try: npm run chaos -- --help`)
      values.set(name, value)
    } else throw new Error(`Unknown argument ${name}. Try: npm run chaos -- --help`)
  }
  const whole = (name: string, otherwise: number): number => {
    const value = Number(values.get(name) ?? otherwise)
    if (!Number.isInteger(value) || value < 1) throw new Error(`${name} ${values.get(name)} is not a whole number above 0.`)
    return value
  }
  return {
    kills: whole('--kills', usualKills),
    seed: whole('--seed', 1 + Math.floor(random() * seeds)),
    isShort: flags.has('--short'),
    json: flags.has('--json'),
    keep: flags.has('--keep'),
    mutants: values.get('--mutant') ?? (flags.has('--mutants') ? 'all' : 'none'),
  }
}
