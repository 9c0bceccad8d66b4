// `npm run demo`: 600 people, a template of four steps and an account of everybody, on a system of its own or the one of STEPCAST_URL.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, lockFile, startSystem, type System } from '@stepcast/local'
import { lockHolder, stopLeftovers } from '@stepcast/stack'
import { help, optionsOf, type Options, type RunningSystem } from './options'
import { play } from './play'
import { whatNext } from './reading'
import { Screen } from './table'

/** Where the demo's own system keeps data and logs: beside `.stepcast/`, so that neither is in the other's way. */
const home = join(checkout, '.stepcast-demo')

/** The demo on a system that was there before. */
async function onRunning(options: Options, running: RunningSystem, screen: Screen, signal: AbortSignal): Promise<boolean> {
  const minutes = Math.ceil((15 * options.minuteMs + 60_000) / 60_000)
  screen.print(`Using ${running.url}, whose minutes last ${options.minuteMs / 1000} s (STEPCAST_MINUTE_MS).`)
  screen.print(`This takes about ${minutes} minutes.`)
  const kept = await play({ ...options, system: running, screen, onMiddle: () => undefined, signal })
  screen.print(`\n${whatNext(running)}`)
  return kept
}

/** The demo on a new system, which is stopped at the end; its data goes too, unless something was wrong. */
async function onOwn(options: Options, screen: Screen, signal: AbortSignal): Promise<boolean> {
  const { minuteMs, kill } = options
  await clear()
  const system = await startSystem({ home, minuteMs, signal, onProgress: (line) => screen.print(withoutLog(line)) })
  let kept = false
  try {
    const service = kill === null ? undefined : system.services[kill]
    if (kill !== null && service === undefined) {
      throw new Error(`--kill ${kill}: there is no such service. There are ${Object.keys(system.services).join(', ')}.`)
    }
    screen.print(
      `\nGateway ${system.url}; kill -9 any service in ${join(home, 'services.json')}\n` +
        '(but the sandbox, which plays the world outside): no number will change.',
    )
    const onMiddle = (): void => {
      if (service === undefined) return
      screen.print(`kill -9 ${service.pid} (${service.name})`)
      service.kill('SIGKILL')
    }
    kept = await play({ ...options, system: asRunning(system), screen, onMiddle, signal })
    screen.print(`\n${whatNext(null)}`)
    return kept
  } finally {
    await system.stop()
    if (kept || signal.aborted) rmSync(home, { recursive: true, force: true })
    else screen.print(`\nData and logs are kept in ${home}.`)
  }
}

/** Whoever is killed says nothing of interest in its last lines; one that crashed does. */
const withoutLog = (line: string): string => line.replace(/( was ended by SIGKILL\.) The end of .*\n(?: {4}.*\n)*/, '$1\n')

/** A demo begins from nothing. @throws Error when another one runs */
async function clear(): Promise<void> {
  const holder = lockHolder(lockFile(home))
  if (holder !== undefined) throw new Error(`A demo runs in this checkout already, as process ${holder.pid}.`)
  if (!existsSync(home)) return
  await stopLeftovers(home)
  rmSync(home, { recursive: true, force: true })
}

function asRunning({ url, demo, sandboxUrl, env }: System): RunningSystem {
  if (demo === null) throw new Error('The new system has no demo workspace.')
  return { url, sandboxUrl, ...demo, addresses: { KAFKA_BROKERS: env.KAFKA_BROKERS, SCHEMA_REGISTRY_URL: env.SCHEMA_REGISTRY_URL } }
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2), process.env)
  if (options === null) return console.log(help)
  const screen = new Screen(process.stdout)
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Asked twice: whatever still runs is killed by its guard.
      if (abort.signal.aborted) process.exit(1)
      screen.keep()
      screen.print('Stopping …')
      abort.abort(new Error('Stopped.'))
    })
  }
  const { running } = options
  const kept = await (running === null ? onOwn(options, screen, abort.signal) : onRunning(options, running, screen, abort.signal))
  process.exit(kept ? 0 : 1)
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
