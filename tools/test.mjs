// `npm test`: installs what is missing, builds, then runs every check and spec; ends with the slowest specs and one line of counts.
// `npm test -- <path> …`: only the specs whose paths hold one of these, with the options of Jest.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installAndBuild } from './install.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

const run = (command, args, env) =>
  new Promise((done) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
    child.once('error', () => done(false))
    child.once('exit', (code) => done(code === 0))
  })

const counts = mkdtempSync(join(tmpdir(), 'stepcast-test-'))
const file = join(counts, 'counts.json')
// Each Jest run adds its numbers to this file.
const env = { STEPCAST_TEST_COUNTS: file }
const jest = resolve(root, 'node_modules', '.bin', 'jest')

await installAndBuild()
const only = process.argv.slice(2)
const everything = async () => [
  await run(process.execPath, ['tools/check.mjs'], env),
  // Two files at a time: mostly they wait for timers and the one broker.
  await run(jest, ['--selectProjects', 'integration', '--maxWorkers', '2'], env),
  await run(jest, ['--selectProjects', 'e2e', '--runInBand'], env),
]
const ok = (only.length === 0 ? await everything() : [await run(jest, ['--runInBand', '--testPathPatterns', ...only], env)]).every(Boolean)

let { passed, failed, seconds } = { passed: 0, failed: 0, seconds: {} }
try {
  ;({ passed, failed, seconds } = JSON.parse(readFileSync(file, 'utf8')))
} catch {
  // No run got as far as counting.
}
rmSync(counts, { recursive: true, force: true })
// A check that is not a test (types, lint) fails the run all the same, and is counted so that the line cannot look green.
if (!ok && failed === 0) failed = 1
const slowest = Object.entries(seconds)
  .sort(([, a], [, b]) => b - a)
  .slice(0, 15)
if (slowest.length > 1)
  console.log(['Slowest specs:', ...slowest.map(([name, took]) => `${took.toFixed(0).padStart(6)} s  ${name}`)].join('\n'))
console.log(`Tests: ${passed} passed, ${failed} failed`)
process.exit(ok && failed === 0 ? 0 : 1)
