// `npm run check`: generated code, format, imports, unused code, types, lint with module boundaries, unit specs. Needs no server.
import { spawn } from 'node:child_process'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = (name) => resolve(root, 'node_modules', '.bin', name)

/** Runs one check; its output is shown when it fails, or as it comes for the specs. */
function check(what, command, args, { show = false } = {}) {
  const begin = Date.now()
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, NX_DAEMON: 'false', NX_NO_CLOUD: 'true' },
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    })
    let output = ''
    child.stdout?.on('data', (data) => (output += data))
    child.stderr?.on('data', (data) => (output += data))
    child.once('error', (error) => done(finish(false, error.message)))
    child.once('exit', (code) => done(finish(code === 0, output)))
  })
  function finish(ok, output) {
    console.log(`${ok ? '✓' : '✗'} ${what} (${((Date.now() - begin) / 1000).toFixed(1)} s)`)
    if (!ok && output) console.log(output)
    return ok
  }
}

const node = process.execPath
const results = [
  await check('generated code is current', node, ['libs/contracts/tools/generate.mjs', '--check']),
  // The project graph that the boundary rule reads; without it the rule is silently skipped.
  await check('project graph', bin('nx'), ['show', 'projects']),
  await check('format (npm run format mends it)', bin('biome'), ['format', '.']),
  ...(await Promise.all([
    check('imports: no circles, no arrows upward', bin('depcruise'), [
      ...['--config', '.dependency-cruiser.cjs', '--include-only', '^(libs|apps|tools|e2e)/', '--output-type', 'err'],
      ...['libs', 'apps', 'tools', 'e2e'],
    ]),
    check('no unused exports, files or dependencies', bin('knip'), [
      '--no-progress',
      '--no-config-hints',
      '--include',
      'exports,types,dependencies,files,unlisted',
    ]),
  ])),
  ...(await Promise.all([
    check('types', bin('tsc'), ['-p', 'tsconfig.json']),
    check('lint and module boundaries', bin('eslint'), ['.', '--max-warnings', '0']),
  ])),
  await check('unit specs', bin('jest'), ['--selectProjects', 'unit'], { show: true }),
]
process.exit(results.every(Boolean) ? 0 : 1)
