// `npm run fuzz-topics`: records that nobody should write, on every topic, beside a workspace that must not notice.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '@stepcast/local'
import { help, optionsOf, type Options } from './options'
import { run, type Result } from './run'
import { RunningStage } from './stage'

const home = join(checkout, '.stepcast-fuzz', 'home')

const say = (line: string): void => console.log(line)

// Of a service that ends its last lines are told, and they may hold megabytes: its log keeps them.
const sayShortly = (line: string): void => say(line.split('\n')[0]!.slice(0, 200))

function lines({ seed, shots, onTopics, letters, stories, kept, restarts, largestMb, table, problems }: Result, again: string): string[] {
  return [
    `${shots} shots, ${onTopics} of them on their topics, ${letters} dead letters (seed ${seed})`,
    `the neighbour: ${kept} of ${stories} sequences went exactly as they must; ${restarts.length} restarts; no service above ${largestMb} MB`,
    '',
    ...table,
    '',
    ...problems.flatMap(({ what, places }) => [`broken: ${what}`, ...places.map((place) => `    ${place}`)]),
    ...(problems.length === 0
      ? ['KEPT: nothing stood still, nothing of the neighbour changed']
      : ['', `BROKEN: ${problems.length} promises`, `Again: ${again}`]),
  ]
}

async function play(options: Options, signal: AbortSignal): Promise<boolean> {
  const { seed, minutes, only, keep, json } = options
  const again = `npm run fuzz-topics -- --seed ${seed} --minutes ${minutes}`
  say(`Seed ${seed}: ${again}`)
  const stage = await RunningStage.start(home, sayShortly, signal)
  let result: Result
  try {
    result = await run({ stage, seed, minutes, only, onProgress: say, signal })
  } finally {
    await stage.stop()
  }
  say(`\n${lines(result, again).join('\n')}`)
  const isGood = result.problems.length === 0
  if (isGood && !keep) rmSync(home, { recursive: true, force: true })
  else say(`Data and logs are kept in ${home}.`)
  if (json) say(JSON.stringify(result))
  return isGood
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
  process.exit((await play(options, abort.signal)) ? 0 : 1)
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
