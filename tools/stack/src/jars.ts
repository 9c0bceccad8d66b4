// Fetches the Java programs named in pom.xml, once for every data directory and every test.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireMaven } from './java'
import { lastLines, openLog } from './logFile'
import { processIdentity } from './pidFile'
import { sleep } from './wait'

const packageRoot = join(__dirname, '..')
const pom = join(packageRoot, 'pom.xml')
const cache = join(packageRoot, '.cache')

/** Where the fetched programs lie. */
export interface Jars {
  /** The directory of the broker's jars. */
  readonly broker: string
  /** The directory of the registry's distribution, its runnable jar and that jar's libraries. */
  readonly registry: string
  readonly registryJar: string
}

/**
 * Finds the Java programs in the cache and fetches them by Maven when they are not there: 150 MB, 20 to 60 seconds.
 *
 * A fetch happens in a directory of its own that gets its final name when it is complete, so one that was interrupted is
 * simply repeated. Of several processes that need the programs at once one fetches and the others wait.
 *
 * @throws Error when Maven is missing or the fetch failed, with Maven's last words
 */
export async function fetchJars(onProgress: (line: string) => void): Promise<Jars> {
  // Named by the contents of the pom: other versions are another directory, and old ones stay valid for old checkouts.
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const directory = join(cache, version)
  if (!existsSync(directory)) {
    mkdirSync(cache, { recursive: true })
    await withLock(join(cache, `${version}.lock`), async () => {
      if (!existsSync(directory)) await fetchInto(directory, onProgress)
    })
  }
  const registry = join(directory, 'registry')
  const registryJar = readdirSync(registry).find((name) => name.endsWith('-runner.jar'))
  if (registryJar === undefined) throw new Error(`${registry} holds no registry. Delete ${cache} and start again.`)
  return { broker: join(directory, 'broker'), registry, registryJar: join(registry, registryJar) }
}

async function fetchInto(directory: string, onProgress: (line: string) => void): Promise<void> {
  await requireMaven()
  for (const name of readdirSync(cache)) {
    // Left by a fetch that was interrupted: we hold the lock, so nobody writes to it any more.
    if (name.endsWith('.partial')) rmSync(join(cache, name), { recursive: true, force: true })
  }
  const partial = `${directory}.${process.pid}.partial`
  const log = join(cache, 'maven.log')
  const started = Date.now()
  const tell = (): void =>
    onProgress(`Fetching the broker and the schema registry (once, 150 MB) … ${Math.round((Date.now() - started) / 1000)} s`)
  tell()
  const ticker = setInterval(tell, 1000)
  try {
    // One Maven after the other: two would write the same plugin files of a fresh local repository.
    await runMaven(['-P', 'broker', `-Dstack.output=${join(partial, 'broker')}`], log)
    await runMaven(['-P', 'registry', `-Dstack.output=${join(partial, 'registry')}`], log)
    renameSync(partial, directory)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    throw error
  } finally {
    clearInterval(ticker)
  }
}

function runMaven(args: readonly string[], log: string): Promise<void> {
  const output = openLog(log)
  const child = spawn('mvn', ['--batch-mode', '--quiet', '--file', pom, ...args, 'package'], {
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      if (code === 0) return resolve()
      const lines = lastLines(log, 10).map((line) => `    ${line}`)
      reject(new Error(['The broker and the schema registry could not be fetched by Maven:', ...lines].join('\n')))
    })
  })
}

/** Runs the work while no other process runs work under the same lock file. A lock whose holder has ended is void. */
async function withLock(file: string, work: () => Promise<void>): Promise<void> {
  const own = `${file}.${process.pid}`
  writeFileSync(own, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }))
  try {
    while (!tryLink(own, file)) {
      const holder = readHolder(file)
      if (holder !== undefined && processIdentity(holder.pid) !== holder.identity) rmSync(file, { force: true })
      else await sleep(200)
    }
    try {
      await work()
    } finally {
      rmSync(file, { force: true })
    }
  } finally {
    rmSync(own, { force: true })
  }
}

/** A hard link is made whole or not at all: the lock file is never seen without its holder. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(file: string): { pid: number; identity: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { pid: number; identity: string }
  } catch {
    return undefined
  }
}
