// `npm start`: runs the whole system until Ctrl-C, or in the background with `--detach`.
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { join, relative } from 'node:path'
import { lockHolder, openLog } from '@stepcast/stack'
import { ProgressPrinter } from './progress'
import { homeFrom, parseArguments, settingsFrom } from './settings'
import { lockFile, startSystem, type System } from './startSystem'

const help = `npm start                 runs Stepcast until Ctrl-C
npm start -- --detach     returns when everything is ready; npm run stop ends it
npm run reset             stops it and deletes its data

Variables: STEPCAST_HTTP_PORT (8080), STEPCAST_GRPC_PORT (8090), STEPCAST_SANDBOX_PORT (8091), STEPCAST_SANDBOX_TLS_PORT (8092),
STEPCAST_KAFKA_PORT (9092), STEPCAST_REGISTRY_PORT (8085), STEPCAST_POSTGRES_PORT (5440), STEPCAST_HOME (.stepcast), STEPCAST_MINUTE_MS (60000),
STEPCAST_PARTITIONS (12), STEPCAST_PUBLIC_URL, STEPCAST_ROOT_KEY.
Real providers: FCM_ENDPOINT, FCM_TOKEN_ENDPOINT, APNS_ENDPOINT, TWILIO_ENDPOINT, SOLAPI_ENDPOINT (the sandbox).
Your own servers: KAFKA_BROKERS (KAFKA_SSL, KAFKA_SSL_CA, KAFKA_SSL_CERT, KAFKA_SSL_KEY, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME,
KAFKA_SASL_PASSWORD, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT, _CLIENT_ID, _CLIENT_SECRET, _SCOPE, KAFKA_REPLICATION_FACTOR,
STEPCAST_TOPIC_PREFIX), SCHEMA_REGISTRY_URL (SCHEMA_REGISTRY_AUTH), DATABASE_URL (DATABASE_CA, STEPCAST_POOL_<SERVICE>).
Keys: STEPCAST_INTERNAL_SECRET, STEPCAST_ENCRYPTION_KEY, STEPCAST_ENCRYPTION_KEY_PREVIOUS (docs/operations.md tells all variables).`

/** What the process in the background tells the one that started it. */
type Report = { readonly progress: string } | { readonly ready: true } | { readonly failed: string }

function report(message: Report): void {
  // Once everything is ready, the process that started us has gone, and its channel with it.
  if (process.connected) process.send?.(message, () => undefined)
}

const repeatedSignalMs = 1_000

async function run(): Promise<void> {
  const printer = new ProgressPrinter(process.stdout)
  const onProgress = (line: string): void => {
    printer.print(line)
    report({ progress: line })
  }
  const begin = Date.now()
  const abort = new AbortController()
  let system: System | undefined
  let askedAt: number | undefined
  const stop = (): void => {
    if (askedAt !== undefined) {
      // Asked twice by a person: whatever still runs is ended by its guard. One Ctrl-C can arrive twice, from the terminal
      // and from npm, within milliseconds.
      if (Date.now() - askedAt > repeatedSignalMs) process.exit(1)
      return
    }
    askedAt = Date.now()
    printer.print('Stopping …')
    if (system === undefined) return abort.abort(new Error('Stopped while starting.'))
    system.stop().then(
      () => {
        printer.print('Stopped.')
        process.exit(0)
      },
      (error: Error) => fail(error),
    )
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  if (process.env['npm_lifecycle_event'] === 'start' && !process.connected) stopWithParent(stop)
  try {
    const started = await startSystem({ ...settingsFrom(process.env), onProgress, signal: abort.signal })
    system = started
    // Asked to stop in the very last moment of the start.
    if (abort.signal.aborted) return void started.stop().then(() => process.exit(0))
    onProgress(readyText(started, Date.now() - begin))
    report({ ready: true })
  } catch (error) {
    fail(error as Error)
  }
}

/** How often we look whether npm is still there. */
const parentCheckMs = 1_000

/** `npm start` in the foreground ends with npm, also when npm is killed and cannot pass a signal on. */
function stopWithParent(stop: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    stop()
  }, parentCheckMs)
}

function fail(error: Error): never {
  console.error(error.message)
  report({ failed: error.message })
  process.exit(1)
}

/** Starts this program again as a process of its own, and returns when that one is ready. */
function runDetached(): void {
  const home = homeFrom(process.env)
  const holder = lockHolder(lockFile(home))
  const log = join(home, 'logs', 'start.log')
  const output = openLog(log)
  const printer = new ProgressPrinter(process.stdout)
  const child = spawn(process.execPath, [__filename], { detached: true, stdio: ['ignore', output, output, 'ipc'] })
  closeSync(output)
  let failed = false
  child.on('message', (message: Report) => {
    if ('progress' in message) printer.print(message.progress)
    else if ('failed' in message) {
      failed = true
      console.error(message.failed)
    } else {
      if (holder === undefined) printer.print(`It runs in the background as process ${child.pid}; its output is in ${log}.`)
      child.disconnect()
      child.unref()
    }
  })
  child.once('exit', (code) => {
    if (!failed) console.error(`The start ended with code ${code}; see ${log}.`)
    process.exitCode = 1
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGTERM'))
}

/** How to come by a key of the workspace again: it is in the answer, and shown there only. */
const newKeyText = `  curl -X POST $STEPCAST_URL/v1/workspaces/demo/api-keys -H "Authorization: Bearer $STEPCAST_ROOT_KEY" \\
    -H 'Content-Type: application/json' -d '{ "name": "mine", "scopes": ["admin", "send", "read"] }'
  STEPCAST_API_KEY=<its "key">   # then, for user tokens: POST $STEPCAST_URL/v1/workspace/signing-keys with that key`

function readyText(system: System, tookMs: number): string {
  const { env } = system
  const devEnv = relative(process.cwd(), join(system.home, 'dev.env'))
  const database = new URL(env.DATABASE_URL)
  return `
Stepcast is ready after ${(tookMs / 1000).toFixed(1)} s.

  HTTP                ${env.STEPCAST_URL}   (API documentation: ${env.STEPCAST_URL}/docs)
  gRPC                ${env.STEPCAST_GRPC}
  provider sandbox    ${env.STEPCAST_SANDBOX_URL}
  Kafka               ${env.KAFKA_BROKERS}
  schema registry     ${env.SCHEMA_REGISTRY_URL}
  PostgreSQL          ${database.host}${database.pathname}
  data and logs       ${system.home}
${
  system.demo === null
    ? `
The workspace "demo" exists already and its keys are not in this data directory, so ${devEnv} lacks them.
`
    : ''
}
Next, in another terminal:
  set -a; source ${devEnv}; set +a
${
  system.demo === null
    ? newKeyText
    : `  curl -H "Authorization: Bearer $STEPCAST_API_KEY" $STEPCAST_URL/v1/templates
  npm run demo`
}

${process.connected ? 'npm run stop' : 'Ctrl-C'} stops everything; the data stays until npm run reset.`
}

try {
  const { detach, help: wantsHelp } = parseArguments(process.argv.slice(2))
  if (wantsHelp) console.log(help)
  else if (detach) runDetached()
  else void run()
} catch (error) {
  fail(error as Error)
}
