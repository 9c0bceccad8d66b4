// What `npm run fuzz-topics` was asked for, read once and checked.

/** How to run. */
export interface Options {
  readonly seed: number
  /** Of good and mutated traffic; start, verdict and stop come on top. */
  readonly minutes: number
  /** Only these shots are fired, by their numbers; null: all. */
  readonly only: ReadonlySet<number> | null
  /** Print the result as JSON as well, on the last line. */
  readonly json: boolean
  /** Keep data and logs also when all is well. */
  readonly keep: boolean
}

export const help = `npm run fuzz-topics                                two minutes of records that nobody should write, beside good traffic
npm run fuzz-topics -- --seed 7                    these records
npm run fuzz-topics -- --minutes 0.5               for so long
npm run fuzz-topics -- --seed 7 --only 12,40-45    only these of them, by the numbers that a failure names
npm run fuzz-topics -- --json                      the result as one line of JSON at the end
npm run fuzz-topics -- --keep                      keeps data and logs (kept anyway after a failure)`

const seeds = 100_000
const most = 24 * 60

/** @throws Error naming the argument that cannot be used; null: help is wanted */
export function optionsOf(args: readonly string[], random: () => number = Math.random): Options | null {
  const values = new Map<string, string>()
  const flags = new Set<string>()
  for (let i = 0; i < args.length; i++) {
    const name = args[i]!
    if (name === '--help' || name === '-h') return null
    if (['--json', '--keep'].includes(name)) flags.add(name)
    else if (['--seed', '--minutes', '--only'].includes(name)) {
      const value = args[++i]
      if (value === undefined) throw new Error(`${name} needs a value. Try: npm run fuzz-topics -- --help`)
      values.set(name, value)
    } else throw new Error(`Unknown argument ${name}. Try: npm run fuzz-topics -- --help`)
  }
  const seed = Number(values.get('--seed') ?? 1 + Math.floor(random() * seeds))
  if (!Number.isInteger(seed) || seed < 1) throw new Error(`--seed ${values.get('--seed')} is not a whole number above 0.`)
  const minutes = Number(values.get('--minutes') ?? 2)
  if (!(minutes > 0 && minutes <= most)) throw new Error(`--minutes ${values.get('--minutes')} is not a number above 0, ${most} at most.`)
  return { seed, minutes, only: numbersOf(values.get('--only')), json: flags.has('--json'), keep: flags.has('--keep') }
}

function numbersOf(text: string | undefined): ReadonlySet<number> | null {
  if (text === undefined) return null
  const numbers = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part)
    if (match === null) throw new Error(`--only ${text} is not a list as 12,40-45.`)
    for (let n = Number(match[1]); n <= Number(match[2] ?? match[1]); n++) numbers.add(n)
  }
  return numbers
}
