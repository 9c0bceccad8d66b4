// What every peer shares: its arguments, the lines it writes for the benchmark, and the judgement whether it did the work.
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'

/** Light load: this many timers over the time below. */
export const latenessTimers = 200
const latenessSpreadMs = 5_000
/** A phase without progress for this long has failed. */
const stallMs = 20_000

/** Reads `--n` and `--variant`; the first variant is the default. */
export function readArguments(defaultN, variants = ['']) {
  const { values } = parseArgs({ options: { n: { type: 'string' }, variant: { type: 'string' } } })
  const n = Number(values.n ?? defaultN)
  if (!Number.isInteger(n) || n < 2) throw new Error(`--n ${values.n}: give a whole number of sequences, at least 2`)
  const variant = values.variant ?? variants[0]
  const allowed = variants[0] === '' ? 'this peer has none' : `give one of ${variants.join(', ')}`
  if (!variants.includes(variant)) throw new Error(`--variant ${variant}: ${allowed}`)
  return { n, variant }
}

/** An environment variable that must be there. */
export function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: the benchmark starts the servers and says where they are`)
  return value
}

/** The installed version of a package, as the peer at the given URL sees it. */
export function versionOf(packageName, peerUrl) {
  return createRequire(peerUrl)(`./node_modules/${packageName}/package.json`).version
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** The value below which the share p of the values lies, 0 < p <= 1. */
export function percentile(values, p) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)]
}

/** Calls `work` for each item, never more than `limit` at a time. */
export async function inFlight(items, limit, work) {
  let next = 0
  const lane = async () => {
    while (next < items.length) await work(items[next++])
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
}

/** The items in pieces of at most `size`. */
export function chunks(items, size) {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
}

/** One peer's run: its four phases, every step that took effect, and the result. Sequences count from 0; the even ones are engaged. */
export class Run {
  seconds = {}
  problems = []
  /** Steps 1 and 2 of each sequence: how often they took effect. The last ones are those of the lateness run. */
  #effects
  #totals = { 1: 0, 2: 0 }
  #lateBy = []
  #early = 0

  constructor({ name, version, n, notes }) {
    Object.assign(this, { name, version, n, notes })
    this.even = Array.from({ length: Math.ceil(n / 2) }, (_, index) => index * 2)
    this.odd = Array.from({ length: Math.floor(n / 2) }, (_, index) => index * 2 + 1)
    this.all = Array.from({ length: n }, (_, index) => index)
    this.#effects = { 1: new Uint8Array(n + latenessTimers), 2: new Uint8Array(n + latenessTimers) }
  }

  /** A step of a sequence took effect; `lateMs` is how long after its due time a timer fired. */
  effected(step, number, lateMs = 0) {
    this.#effects[step][number]++
    this.#totals[step]++
    // Clocks are read in whole milliseconds on both sides.
    if (lateMs < -1) this.#early++
    if (step === 2 && number >= this.n) this.#lateBy.push(lateMs)
  }

  /** How many times a step took effect. */
  count(step) {
    return this.#totals[step]
  }

  /** Runs a phase: from the call until `work` is done and `done()` has reached `items`. */
  async phase(name, items, done, work = () => undefined) {
    const shown = setInterval(() => write({ progress: { phase: name, done: Math.min(items, done()), of: items } }), 250)
    write({ phase: name, event: 'begin' })
    const begin = performance.now()
    try {
      await Promise.all([work(), reached(name, items, done)])
    } finally {
      clearInterval(shown)
    }
    this.seconds[name] = (performance.now() - begin) / 1_000
    write({ phase: name, event: 'end' })
  }

  /**
   * The common due instant of all timers, to be asked before the phase `requested`: far enough that the phases `requested` and
   * `engaged`, which together took less than twice the phase `start` with every peer, are over by then on an uneven machine too.
   */
  dueInstant() {
    return Date.now() + 2_000 + 3_000 * this.seconds.start
  }

  /** Waits for the due instant, then runs the phase `timers` until the last second step took effect. */
  async timers(dueAt, done = () => this.count(2)) {
    if (Date.now() > dueAt) this.problems.push(`the timers were due ${Date.now() - dueAt} ms before the engagements were in`)
    if (done() > 0) this.problems.push(`${done()} second steps before the timers were due`)
    await sleep(dueAt - Date.now())
    await this.phase('timers', this.odd.length, done)
  }

  /** Under light load: `arm(number, dueAt)` sets one timer of a fresh sequence; the peer reports its second step as ever. */
  async lateness(arm) {
    const first = Date.now() + 1_500
    const numbers = Array.from({ length: latenessTimers }, (_, index) => this.n + index)
    await inFlight(numbers, 10, (number) => arm(number, first + Math.round((number - this.n) * latenessSpreadMs / latenessTimers)))
    const shown = setInterval(() => write({ progress: { phase: 'lateness', done: this.#lateBy.length, of: latenessTimers } }), 250)
    await reached('lateness', latenessTimers, () => this.#lateBy.length).finally(() => clearInterval(shown))
  }

  /** Judges the steps and writes the last line. */
  finish() {
    const duplicates = this.all.filter((number) => this.#effects[1][number] > 1).length
    const missing = this.all.filter((number) => this.#effects[1][number] === 0).length
    const evenSecond = this.even.filter((number) => this.#effects[2][number] > 0).length
    const oddNotOnce = this.odd.filter((number) => this.#effects[2][number] !== 1).length
    for (const [count, what] of [
      [missing, 'sequences without step 1'],
      [duplicates, 'sequences with step 1 more than once'],
      [evenSecond, 'engaged sequences with step 2'],
      [oddNotOnce, 'timed-out sequences without exactly one step 2'],
      [this.#early, 'timers fired early'],
    ]) if (count > 0) this.problems.push(`${count} ${what}`)
    const items = { start: this.n, requested: this.n, engaged: this.even.length, timers: this.odd.length }
    const total = Object.values(this.seconds).reduce((sum, seconds) => sum + seconds, 0)
    const late = this.#lateBy
    write({
      result: {
        name: this.name, n: this.n, version: this.version,
        phases: Object.fromEntries(Object.entries(items).map(([name, count]) => [name, Math.round(count / this.seconds[name])])),
        seconds: Object.fromEntries(Object.entries(this.seconds).map(([name, seconds]) => [name, Number(seconds.toFixed(3))])),
        sequencesPerSecond: Math.round(this.n / total),
        latenessMs: late.length === 0 ? null : { p50: percentile(late, 0.5), p99: percentile(late, 0.99), max: Math.max(...late) },
        valid: this.problems.length === 0, problems: this.problems, notes: this.notes,
      },
    })
  }
}

/** Runs a peer's main function; a failure goes to stderr and ends with code 1. */
export function main(run) {
  run().then(() => process.exit(0), (error) => {
    console.error(error)
    process.exit(1)
  })
}

async function reached(name, items, done) {
  let [before, since] = [-1, performance.now()]
  for (let now = done(); now < items; now = done()) {
    if (now !== before) [before, since] = [now, performance.now()]
    else if (performance.now() - since > stallMs) throw new Error(`${name}: stands still at ${now} of ${items}`)
    await sleep(2)
  }
}

function write(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
