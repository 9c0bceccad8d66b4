// Installs the packages and builds what is missing: the first step of every command, on a checkout in any state.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const oldestNode = 20

/**
 * Checks Node's version, runs `npm ci` when node_modules is not what the lock file asks for, and compiles what changed.
 * @throws Error with the reason in words
 */
export async function installAndBuild() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < oldestNode) throw new Error(`Node ${process.versions.node} is too old: Stepcast needs Node ${oldestNode} or newer.`)
  if (!isInstalled()) await run('Installing packages (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund'])
  await build()
}

/** Runs a program with its output in a file, which is shown only when it fails. Counts the seconds where someone watches. */
async function run(what, command, args) {
  const directory = mkdtempSync(join(tmpdir(), 'stepcast-'))
  const log = join(directory, 'output')
  const output = openSync(log, 'w')
  const begin = Date.now()
  const tell = () => process.stdout.isTTY && process.stdout.write(`\r${what} … ${Math.round((Date.now() - begin) / 1000)} s`)
  if (!process.stdout.isTTY) console.error(`${what} …`)
  tell()
  const ticker = setInterval(tell, 1000)
  const code = await new Promise((done) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', output, output] })
    child.once('error', () => done(1))
    child.once('exit', (exitCode) => done(exitCode ?? 1))
  })
  clearInterval(ticker)
  if (process.stdout.isTTY) process.stdout.write('\n')
  const text = readFileSync(log, 'utf8')
  rmSync(directory, { recursive: true })
  if (code !== 0) throw new Error(`${reasonIn(text)}\n${command} ${args.join(' ')} failed.`)
}

/** What went wrong, out of npm's output: it prints the reason first and then pages of usage. */
function reasonIn(output) {
  const lines = output.split('\n')
  const errors = lines.filter((line) => line.startsWith('npm error'))
  return (errors.length > 0 ? errors.slice(0, 12) : lines.slice(-20)).join('\n')
}

/**
 * Tells whether node_modules holds what the lock file asks for, by npm's own record of what it installed. Compared by
 * content and not by age: a checkout sets new times on files that did not change.
 */
function isInstalled() {
  const read = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  let wanted, installed
  try {
    wanted = read('package-lock.json')
    installed = read('node_modules/.package-lock.json')
  } catch {
    return false
  }
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.optional) return true
    if (entry.link) return existsSync(join(root, path))
    return installed[path]?.version === entry.version
  })
}

/** A tenth of a second when nothing has changed. */
function build() {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, 'tools', 'build.mjs'), '--quiet'], { cwd: root, stdio: 'inherit' })
    child.once('error', fail)
    child.once('exit', (code) => (code === 0 ? done() : process.exit(1)))
  })
}
