// Five faults under load, as `npm run chaos` strikes them: the whole system is killed, stopped and flooded, and no promise is broken.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const program = join(__dirname, '..', 'tools', 'chaos', 'dist', 'chaos.js')
// The run itself takes some two minutes where two cores are free.
const withinMs = 300_000

/** Runs to the end; answers what was said and the exit code. */
function chaos(...args: string[]): Promise<{ code: number | null; said: string }> {
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
  'keeps its promises while services, broker and database are killed',
  async () => {
    const { code, said } = await chaos('--short', '--kills', '5', '--seed', '1', '--json')
    const last = said.trim().split('\n').at(-1)!
    if (code !== 0 || !last.startsWith('{')) throw new Error(`the run failed with code ${code}:\n${said}`)
    const result = JSON.parse(last)
    expect(result).toMatchObject({ breaches: [], void: [], lost: 0, commandedTwice: 0 })
    expect(Object.values(result.faults).reduce((sum: number, n) => sum + Number(n), 0)).toBe(5)
    expect(result.sends).toBeGreaterThan(100)
  },
  withinMs,
)
