// The peers: programs of `bench/peers/`, each installed on its own and run on the same servers, one after another.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkout } from '@stepcast/local'
import { freePort, Program } from '@stepcast/stack'
import { cpuSeconds } from './cpu'
import type { PeerName } from './options'
import type { Progress } from './progress'
import { parseLine, type PeerResult } from './protocol'
import type { Recording } from './recording'
import { phaseNames, type PhaseName, type Result } from './result'
import { cpuBetween, cpuSum, spentPer1000, type CpuUse, type Servers } from './servers'

/** One run of a peer. */
interface Contestant {
  readonly folder: PeerName
  readonly variant?: string
  /** Enough for some seconds in each phase, and all of them together stay under six minutes. */
  readonly n: number
  readonly needs?: 'redis'
}

const contestants: readonly Contestant[] = [
  { folder: 'limit', n: 0 },
  { folder: 'naive', n: 3_000 },
  { folder: 'pg-boss', variant: 'batched', n: 60_000 },
  { folder: 'pg-boss', variant: 'per-call', n: 5_000 },
  { folder: 'bullmq', variant: 'per-step', n: 30_000, needs: 'redis' },
  { folder: 'bullmq', variant: 'bulk', n: 60_000, needs: 'redis' },
  { folder: 'dbos', n: 1_000 },
]

/** A peer that was left out, and why. */
export interface Skipped {
  readonly name: string
  readonly reason: string
  /** It was run and went wrong; else something it needs is not here. */
  readonly failed: boolean
}

/** What to run the peers with. */
export interface PeerOptions {
  readonly names: readonly PeerName[]
  /** Sequences of the Stepcast run, which `limit` repeats. */
  readonly n: number
  /** Sequences for the others; null: each its own. */
  readonly peerN: number | null
  /** What `limit` repeats; null when it is not among the names. */
  readonly recording: Recording | null
}

const patienceMs = 240_000

/** Runs the peers, one after another, each in a database of its own. */
export async function runPeers(
  servers: Servers,
  options: PeerOptions,
  progress: Progress,
): Promise<{ results: Result[]; skipped: Skipped[] }> {
  const results: Result[] = []
  const skipped: Skipped[] = []
  for (const contestant of contestants) {
    const { folder, variant } = contestant
    if (!options.names.includes(folder)) continue
    const name = variant === undefined ? folder : `${folder} ${variant}`
    const n = folder === 'limit' ? options.n : (options.peerN ?? contestant.n)
    progress.done(`\n${name}, ${n.toLocaleString('en')} sequences`)
    try {
      if (contestant.needs === 'redis' && !(await hasRedis())) {
        skipped.push({ name, reason: 'there is no redis-server on the PATH; Debian has it: apt-get install redis-server', failed: false })
        continue
      }
      await install(folder, progress)
      const result = await run(servers, contestant, name, n, options, progress)
      results.push(result)
      progress.done(
        `${result.sequencesPerSecond.toLocaleString('en')} sequences/s, ${result.cpuSecondsPer1000.total} CPU seconds per 1,000` +
          (result.valid ? '' : `; WRONG: ${result.problems.join('; ')}`),
      )
    } catch (error) {
      skipped.push({ name, reason: (error as Error).message, failed: true })
      progress.done(`it failed: ${(error as Error).message}`)
    }
  }
  return { results, skipped }
}

const folderOf = (name: PeerName): string => join(checkout, 'bench', 'peers', name)

async function install(name: PeerName, progress: Progress): Promise<void> {
  const folder = folderOf(name)
  if (!existsSync(join(folder, 'run.mjs'))) throw new Error(`bench/peers/${name}/run.mjs is missing`)
  if (existsSync(join(folder, 'node_modules'))) return
  progress.done(`installing bench/peers/${name} (npm ci) …`)
  await new Promise<void>((resolve, reject) => {
    execFile('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder }, (error, stdout, stderr) =>
      error === null
        ? resolve()
        : reject(new Error(`npm ci failed in bench/peers/${name}:\n${`${stdout}${stderr}`.split('\n').slice(-12).join('\n')}`)),
    )
  })
}

// ── One run ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function run(
  servers: Servers,
  { folder, variant, needs }: Contestant,
  name: string,
  n: number,
  options: PeerOptions,
  progress: Progress,
): Promise<Result> {
  const id = name.replaceAll(/[^a-z]/g, '_')
  const database = `bench_${id}`
  const recorded = folder === 'limit' ? await options.recording!.prepare(database) : null
  const databaseUrl = recorded?.databaseUrl ?? (await servers.createDatabase(database))
  const redis = needs === 'redis' ? await startRedis(join(servers.home, id)) : null
  try {
    const sizeBefore = await servers.sizeOf(databaseUrl)
    const env = {
      ...process.env,
      NODE_ENV: 'production',
      DATABASE_URL: databaseUrl,
      KAFKA_BROKERS: servers.stack.kafkaBrokers,
      TOPIC_PREFIX: `bench-${id}.`,
      ...(redis && { REDIS_URL: redis.url }),
      ...(recorded && { BENCH_RECORDING: recorded.file }),
    }
    const args = ['--n', String(n), ...(variant === undefined ? [] : ['--variant', variant])]
    const othersCpu = (): CpuUse => ({ ...servers.cpu(), ...(redis && { redis: cpuSeconds(redis.program.pid!) }) })
    const { result, spent } = await watch(folder, args, env, othersCpu, progress)
    const bytes = redis === null ? (await servers.sizeOf(databaseUrl)) - sizeBefore : (await peakBytes(redis.port)) - redis.peakBefore
    return {
      ...result,
      name,
      cpuSecondsPer1000: spentPer1000(spent, result.n),
      bytesPerSequence: Math.round(bytes / result.n),
      ...(redis && { bytesIn: 'Redis, memory at its peak' }),
      latencyMs: null,
    }
  } finally {
    await redis?.program.stop()
    await servers.dropDatabase(database)
  }
}

/** Runs the program and takes the CPU of everything at its marks. */
async function watch(
  folder: PeerName,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  othersCpu: () => CpuUse,
  progress: Progress,
): Promise<{ result: PeerResult; spent: CpuUse }> {
  // A group of its own, so that workers it leaves behind can be ended with it.
  const child = spawn(process.execPath, ['run.mjs', ...args], {
    cwd: folderOf(folder),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const end = (): void => void endGroup(child.pid)
  const timeout = setTimeout(end, patienceMs)
  process.once('exit', end)
  let errors = ''
  child.stderr.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-4_000)))
  const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  const cpu = (): CpuUse => ({ program: cpuSeconds(child.pid!), ...othersCpu() })
  let result: PeerResult | null = null
  let spent: CpuUse = {}
  let begun: CpuUse | null = null
  const ended = new Set<PhaseName>()
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const said = parseLine(line)
      if (said.kind === 'progress') progress.show(said.phase, said.done, said.of)
      else if (said.kind === 'result') result = said.result
      else if (said.event === 'begin') begun = cpu()
      else if (begun !== null) {
        spent = cpuSum(spent, cpuBetween(begun, cpu()))
        ended.add(said.phase)
      }
    }
    const code = await exit
    if (result === null || code !== 0) {
      const end = code === null ? `was ended, at the latest after ${patienceMs / 1_000} s,` : `ended with code ${code}`
      throw new Error(`it ${end} and ${result === null ? 'without' : 'with'} a result:\n${errors}`)
    }
    const missing = phaseNames.filter((phase) => !ended.has(phase))
    if (missing.length > 0) throw new Error(`it did not mark ${missing.join(', ')}: its CPU is not known`)
    progress.done(phaseNames.map((phase) => `${phase} ${result!.phases[phase].toLocaleString('en')} /s`).join(', '))
    return { result, spent }
  } finally {
    clearTimeout(timeout)
    process.off('exit', end)
    end()
  }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody of it is left.
  }
}

// ── Redis ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const hasRedis = (): Promise<boolean> =>
  new Promise((resolve) => execFile('redis-server', ['--version'], (error) => resolve(error === null)))

const redisSays = (port: number, ...command: string[]): Promise<string> =>
  new Promise((resolve, reject) =>
    execFile('redis-cli', ['-p', String(port), ...command], (error, stdout) => (error === null ? resolve(stdout) : reject(error))),
  )

const peakBytes = async (port: number): Promise<number> =>
  Number(/used_memory_peak:(\d+)/.exec(await redisSays(port, 'INFO', 'memory'))?.[1] ?? 0)

/** An empty Redis with an append-only file, synced every second: its own default once the file is on. */
async function startRedis(home: string): Promise<{ program: Program; port: number; url: string; peakBefore: number }> {
  const port = await freePort()
  const data = join(home, 'redis')
  mkdirSync(data, { recursive: true })
  const program = new Program({
    name: 'redis',
    home,
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', data, '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
    env: process.env,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    isReady: async () => (await redisSays(port, 'PING')).startsWith('PONG'),
    readyEveryMs: 50,
    readyTimeoutMs: 20_000,
  })
  await program.start()
  return { program, port, url: `redis://127.0.0.1:${port}`, peakBefore: await peakBytes(port) }
}
