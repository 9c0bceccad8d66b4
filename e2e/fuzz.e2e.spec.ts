// Half a minute of records that nobody should write, as `npm run fuzz-topics` puts them on every topic: nothing stands still, nothing of a neighbour changes.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const program = join(__dirname, '..', 'tools', 'fuzz', 'dist', 'fuzz.js')
// With start and stop some 75 s where two cores are free.
const withinMs = 240_000

/** Runs to the end; answers what was said and the exit code. */
function fuzz(...args: string[]): Promise<{ code: number | null; said: string }> {
  return new Promise((done, fail) => {
    // Not the environment of Jest: the services are to run as they do elsewhere.
    const { NODE_ENV: _, ...env } = process.env
    const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stdout.on('data', (part: Buffer) => (said += part))
    child.stderr.on('data', (part: Buffer) => (said += part))
    const timer = setTimeout(() => child.kill('SIGTERM'), withinMs - 15_000)
    child.once('error', fail)
    child.once('close', (code) => {
      clearTimeout(timer)
      done({ code, said })
    })
  })
}

it(
  'uses every record or puts it aside once, and nobody beside it notices',
  async () => {
    const { code, said } = await fuzz('--minutes', '0.5', '--seed', '11', '--json')
    const last = said.trim().split('\n').at(-1)!
    if (code !== 0 || !last.startsWith('{')) throw new Error(`the run failed with code ${code}:\n${said}`)
    const result = JSON.parse(last)
    expect(result).toMatchObject({ problems: [], restarts: [] })
    expect(result.kept).toBe(result.stories)
    // It must have been a storm, and the neighbour must have lived in it.
    expect(result.onTopics).toBeGreaterThan(60)
    expect(result.stories).toBeGreaterThan(10)
  },
  withinMs,
)
