// `npm run chaos`: the real processes under load, faults and a checker that trusts none of them; or broken builds that it must catch.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '@stepcast/local'
import { planOf, type Fault } from './faults'
import { mutants, type Mutant } from './mutants'
import { help, optionsOf, type Options } from './options'
import { Random } from './random'
import { resultLines, resultOf, type Result } from './result'
import { run, type RunOptions } from './run'
import { RunningStage } from './stage'
import { shortest, storyOf } from './story'
import { makeTestBuild } from './testBuild'

const home = join(checkout, '.stepcast-chaos', 'home')

const say = (line: string): void => console.log(line)

/** How hard and how long. */
interface Play extends Pick<RunOptions, 'plan' | 'gapMs' | 'atOnce' | 'warmUp' | 'noise' | 'lookEveryMs' | 'recoverWithinMs'> {
  readonly seed: number
  readonly mutant: Mutant | null
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/** Builds, starts, runs, stops. @returns the result and the story of its worst breach */
async function play({ seed, mutant, plan, onProgress, signal, ...pace }: Play): Promise<{ result: Result; story: string[] }> {
  const begin = Date.now()
  const appsRoot = await makeTestBuild(mutant?.edits ?? [])
  const random = new Random(seed)
  const stage = await RunningStage.start(appsRoot, home, random.fork(), onProgress, signal)
  try {
    const played = await run({ stage, random: random.fork(), plan, onProgress, signal, ...pace })
    const result = resultOf({
      ...played,
      seed,
      planned: plan.length,
      workspaceId: stage.workspaceId,
      seconds: (Date.now() - begin) / 1_000,
    })
    const breach = shortest(result.breaches, played.history)
    return { result, story: breach === undefined ? [] : storyOf(breach, played.history, played.faults) }
  } finally {
    await stage.stop()
  }
}

async function onTrueBuild({ kills, seed, isShort, keep, json }: Options, signal: AbortSignal): Promise<boolean> {
  const again = `npm run chaos -- --kills ${kills} --seed ${seed}${isShort ? ' --short' : ''}`
  say(`Seed ${seed}: ${again}`)
  const { result, story } = await play({
    seed,
    mutant: null,
    plan: planOf(kills, new Random(seed), isShort),
    gapMs: isShort ? [300, 800] : [1_000, 3_000],
    atOnce: 3,
    warmUp: 15,
    noise: isShort ? 150 : 1_000,
    lookEveryMs: 5_000,
    // A short run strikes three at a time from its first seconds on, and the fourth channel is reached by few sequences.
    recoverWithinMs: isShort ? 100_000 : 75_000,
    onProgress: say,
    signal,
  })
  say(`\n${resultLines(result).join('\n')}`)
  if (story.length > 0) say(`\n${story.join('\n')}\n\nAgain: ${again}`)
  const isGood = result.breaches.length === 0 && result.void.length === 0
  if (isGood && !keep) rmSync(home, { recursive: true, force: true })
  else say(`Data and logs are kept in ${home}.`)
  if (json) say(JSON.stringify(result))
  return isGood
}

// A mutant that goes on for longer counts as not caught; so many strikes fill the time.
const mutantWithinMs = 120_000
const mutantStrikes = 12

async function onMutants(names: string, { seed, json }: Options, signal: AbortSignal): Promise<boolean> {
  const chosen = mutants.filter(({ name }) => names === 'all' || name === names)
  if (chosen.length === 0) throw new Error(`There is no mutant ${names}. There are ${mutants.map(({ name }) => name).join(', ')}.`)
  const caught: { name: string; seconds: number; promise: string | null }[] = []
  for (const mutant of chosen) {
    const plan: Fault[] = Array.from({ length: mutantStrikes }, (_, index) => mutant.faults[index % mutant.faults.length]!)
    const patience = AbortSignal.any([signal, AbortSignal.timeout(mutantWithinMs)])
    const begin = Date.now()
    say(`\n${mutant.name}: ${mutant.what}`)
    const outcome = await play({
      seed,
      mutant,
      plan,
      gapMs: [300, 1_000],
      atOnce: 1,
      warmUp: 15,
      noise: 0,
      lookEveryMs: 1_500,
      recoverWithinMs: 25_000,
      onProgress: () => undefined,
      signal: patience,
    }).catch((error: Error) => {
      signal.throwIfAborted()
      if (!patience.aborted) throw error
      return null
    })
    // Stopping everything afterwards is not counted.
    const seconds = Math.round(outcome?.result.seconds ?? (Date.now() - begin) / 1_000)
    const breach = outcome?.result.breaches[0]
    caught.push({ name: mutant.name, seconds, promise: breach?.promise ?? null })
    say(breach === undefined ? `NOT CAUGHT in ${seconds} s` : `caught in ${seconds} s\n${outcome!.story.join('\n')}`)
  }
  const missed = caught.filter(({ promise }) => promise === null)
  const slowest = Math.max(...caught.map(({ seconds }) => seconds))
  const not = missed.length > 0 ? `; not: ${missed.map(({ name }) => name).join(', ')}` : ''
  say(`\n${caught.length - missed.length} of ${caught.length} mutants were caught, each within ${slowest} s${not}.`)
  if (json) say(JSON.stringify(caught))
  return missed.length === 0
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2))
  if (options === null) return console.log(help)
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(1)
      say('Stopping …')
      abort.abort(new Error('Stopped.'))
    })
  }
  const isGood =
    options.mutants === 'none' ? await onTrueBuild(options, abort.signal) : await onMutants(options.mutants, options, abort.signal)
  process.exit(isGood ? 0 : 1)
}

main().catch((error: Error) => {
  // A mistake of this program says where it was made.
  console.error(error instanceof RangeError || error instanceof TypeError ? error.stack : error.message)
  process.exit(1)
})
