// librdkafka by way of Python: an environment of its own with packages from PyPI, made once for a checkout.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '@stepcast/local'

const folder = join(checkout, 'tools', 'foreign')
const requirements = join(folder, 'requirements.txt')

/** Runs a program; answers what it printed. @throws Error with its last lines */
export function run(
  command: string,
  args: readonly string[],
  { input = '', signal }: { readonly input?: string; readonly signal?: AbortSignal } = {},
): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { signal, stdio: ['pipe', 'pipe', 'pipe'] })
    let [output, problems] = ['', '']
    child.stdout.on('data', (data: Buffer) => (output += data.toString()))
    child.stderr.on('data', (data: Buffer) => (problems = (problems + data.toString()).slice(-4_000)))
    child.once('error', fail)
    child.once('close', (code) =>
      code === 0
        ? done(output)
        : fail(new Error(`${command} ended with ${code}:\n${problems || output}`.split('\n').slice(-12).join('\n'))),
    )
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** Which Python there is, as `3.11`. @throws Error in a sentence when there is none */
export function pythonVersion(signal: AbortSignal): Promise<string> {
  return run('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { signal }).catch(() => {
    throw new Error(
      'Python 3 is missing: librdkafka is tried by its package confluent-kafka. Install it (Debian and Ubuntu: apt-get install python3 python3-venv).',
    )
  })
}

/**
 * The Python that has the packages of `requirements.txt`: 25 MB, fetched when they are not there.
 * @throws Error in a sentence when its venv or PyPI is missing
 */
export async function pythonWithPackages(version: string, signal: AbortSignal): Promise<string> {
  const name = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const home = join(folder, '.cache', name)
  const python = join(home, 'bin', 'python')
  if (existsSync(python)) return python
  mkdirSync(join(folder, '.cache'), { recursive: true })
  // A name of its own until it is complete, so that two runs side by side do not meet; scripts inside name the folder and are not used.
  const partial = `${home}.${process.pid}.partial`
  try {
    await run('python3', ['-m', 'venv', '--copies', partial], { signal }).catch((error: Error) => {
      throw new Error(`Python cannot make an environment (Debian and Ubuntu: apt-get install python3-venv): ${error.message}`)
    })
    await run(
      join(partial, 'bin', 'python'),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:', '-r', requirements],
      { signal },
    ).catch((error: Error) => {
      throw new Error(`The packages of ${requirements} could not be fetched from PyPI: ${error.message}`)
    })
    if (!existsSync(home)) renameSync(partial, home)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return python
}
