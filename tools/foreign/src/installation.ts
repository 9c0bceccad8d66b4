// Our system on the foreign servers, started as a person starts it: `npm start` with variables, and nothing of ours in between.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseEnv } from 'node:util'
import { checkout } from '@stepcast/local'
import { freePort } from '@stepcast/stack'

/** A running installation. */
export interface Installation {
  /** Of its `dev.env`. */
  readonly url: string
  readonly sandboxUrl: string
  readonly workspaceId: string
  readonly apiKey: string
  /** Its `dev.env`: what a person sources who works with it. */
  readonly env: NodeJS.ProcessEnv
  /** Stops it as Ctrl-C does. */
  stop(): Promise<void>
}

const stopWithinMs = 40_000

/** Starts it; resolves when everything is ready. @throws Error with its last words */
export async function startInstallation(
  home: string,
  variables: NodeJS.ProcessEnv,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<Installation> {
  mkdirSync(home, { recursive: true })
  const ports = ['HTTP', 'GRPC', 'SANDBOX', 'SANDBOX_TLS'].map(async (name) => [`STEPCAST_${name}_PORT`, String(await freePort())] as const)
  const env = {
    ...withoutOurs(process.env),
    ...Object.fromEntries(await Promise.all(ports)),
    STEPCAST_HOME: home,
    ...variables,
    npm_lifecycle_event: 'start',
  }
  // By that name it ends when we do, also when we are killed.
  const child = spawn(process.execPath, [join(checkout, 'tools', 'local', 'dist', 'start.js')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const last: string[] = []
  let isReady = false
  const stop = (): Promise<void> => end(child)
  const abort = (): void => void stop()
  signal.addEventListener('abort', abort)
  await new Promise<void>((ready, fail) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (line.trim() === '') return
        last.push(line)
        if (last.length > 15) last.shift()
        if (/^Stepcast is ready/.test(line)) {
          isReady = true
          ready()
        } else if (!isReady) onLine(line)
      })
    }
    child.once('error', fail)
    child.once('exit', (code) => fail(new Error(`npm start ended with ${code}:\n${last.join('\n')}`)))
  })
  signal.removeEventListener('abort', abort)
  const made: NodeJS.ProcessEnv = parseEnv(readFileSync(join(home, 'dev.env'), 'utf8'))
  return {
    url: made['STEPCAST_URL']!,
    sandboxUrl: made['STEPCAST_SANDBOX_URL']!,
    workspaceId: made['STEPCAST_WORKSPACE_ID']!,
    apiKey: made['STEPCAST_API_KEY']!,
    env: { ...withoutOurs(process.env), ...made },
    stop,
  }
}

/** Nothing of the caller's own installation comes along. */
const withoutOurs = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(STEPCAST|KAFKA|SCHEMA_REGISTRY|DATABASE|FCM|APNS|TWILIO|SOLAPI|PG)[A-Z_]*/.test(name) && !name.startsWith('npm_'),
    ),
  )

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs)
  await ended
  clearTimeout(timer)
}
