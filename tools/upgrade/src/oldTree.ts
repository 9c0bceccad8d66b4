// The tree of an earlier commit in a temporary folder, installed and built with its own lock file and tools.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '@stepcast/local'

/** A built tree. */
export interface Tree {
  /** The commit, abbreviated. */
  readonly commit: string
  readonly root: string
  remove(): void
}

/** Where schemas, database and records of the last release are checked in, below the checkout. */
export const releasedFolder = 'libs/contracts/released'

/** Runs a program and gives what it printed. @throws Error with its last lines when it fails */
function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let problems = ''
    child.stdout.on('data', (data: Buffer) => (output += data.toString()))
    child.stderr.on('data', (data: Buffer) => (problems = (problems + data.toString()).slice(-4_000)))
    child.once('error', fail)
    child.once('close', (code) =>
      code === 0
        ? done(output.trim())
        : fail(new Error(`${command} ${args.join(' ')} failed:\n${(problems || output).split('\n').slice(-15).join('\n')}`)),
    )
  })
}

/** The commit to come from: the one given, or the one that last changed the checked-in release. @throws Error saying what to do */
export async function commitOf(from: string | null): Promise<string> {
  const wanted = from ?? (await run('git', ['log', '-1', '--format=%H', '--', releasedFolder], checkout))
  if (wanted === '') throw new Error(`No commit has changed ${releasedFolder} yet: name one by --from <commit>.`)
  return run('git', ['rev-parse', '--verify', '--quiet', `${wanted}^{commit}`], checkout).catch(() => {
    throw new Error(`This clone does not hold commit ${wanted}. If it is a shallow one: git fetch --unshallow`)
  })
}

/** Takes a commit out of the repository, installs its packages and builds it. */
export async function oldTree(commit: string, onProgress: (line: string) => void): Promise<Tree> {
  const root = mkdtempSync(join(tmpdir(), 'stepcast-upgrade-'))
  const remove = (): void => rmSync(root, { recursive: true, force: true })
  try {
    onProgress(`Installing ${commit.slice(0, 10)} in a temporary folder …`)
    const archive = join(root, 'tree.tar')
    await run('git', ['archive', '--format=tar', '-o', archive, commit], checkout)
    await run('tar', ['-xf', archive], root)
    rmSync(archive)
    await run('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], root)
    await run(process.execPath, ['tools/build.mjs', '--quiet'], root)
    return { commit: commit.slice(0, 10), root, remove }
  } catch (error) {
    remove()
    throw error
  }
}
