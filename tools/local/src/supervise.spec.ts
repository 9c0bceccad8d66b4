// How soon a crashed program comes back.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Program, sleep } from '@stepcast/stack'
import { restartDelayMs, supervise } from './supervise'

describe('a crashed program', () => {
  it('comes back after half a second, then ever later, at the latest after 30 s', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map(restartDelayMs)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  it('really comes back as another process, says so, and stays away once it was stopped', async () => {
    const home = mkdtempSync(join(tmpdir(), 'stepcast-supervise-'))
    const program = new Program({
      name: 'sleeper',
      home,
      command: 'sh',
      args: ['-c', 'echo awake; exec sleep 60'],
      env: process.env,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 1_000,
      isReady: async () => true,
      readyEveryMs: 10,
      readyTimeoutMs: 1_000,
    })
    const lines: string[] = []
    await program.start()
    const end = supervise(program, (line) => lines.push(line))
    const first = program.pid
    await sleep(100)
    program.kill('SIGKILL')
    await program.ended()
    await sleep(800)
    expect(program.pid).toBeDefined()
    expect(program.pid).not.toBe(first)
    expect(lines.join('\n')).toMatch(/sleeper was ended by SIGKILL[\s\S]*awake[\s\S]*started again in 0.5 s[\s\S]*sleeper is back/)
    await program.stop()
    await sleep(700)
    expect(program.pid).toBeUndefined()
    end()
    rmSync(home, { recursive: true })
  })
})
