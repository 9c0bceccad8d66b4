// Fetches the Java programs named in pom.xml, once for every data directory and every test.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { javaEnvironment, requireMaven } from './java'
import { withLock } from './lock'
import { lastLines, openLog } from './logFile'

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
export async function fetchJars(onProgress: (line: string) => void, signal?: AbortSignal): Promise<Jars> {
  // Named by the contents of the pom: other versions are another directory, and old ones stay valid for old checkouts.
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const directory = join(cache, version)
  if (!existsSync(directory)) {
    mkdirSync(cache, { recursive: true })
    await withLock(join(cache, `${version}.lock`), async () => {
      if (!existsSync(directory)) await fetchInto(directory, onProgress, signal)
    })
  }
  const registry = join(directory, 'registry')
  const registryJar = readdirSync(registry).find((name) => name.endsWith('-runner.jar'))
  if (registryJar === undefined) throw new Error(`${registry} holds no registry. Delete ${cache} and start again.`)
  return { broker: join(directory, 'broker'), registry, registryJar: join(registry, registryJar) }
}

async function fetchInto(directory: string, onProgress: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
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
    await runMaven(['-P', 'broker', `-Dstack.output=${join(partial, 'broker')}`], log, signal)
    await runMaven(['-P', 'registry', `-Dstack.output=${join(partial, 'registry')}`], log, signal)
    renameSync(partial, directory)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    throw error
  } finally {
    clearInterval(ticker)
  }
}

function runMaven(args: readonly string[], log: string, signal: AbortSignal | undefined): Promise<void> {
  const output = openLog(log)
  const child = spawn('mvn', ['--batch-mode', '--quiet', '--file', pom, ...args, 'package'], {
    stdio: ['ignore', output, output],
    env: javaEnvironment(process.env),
    signal,
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
