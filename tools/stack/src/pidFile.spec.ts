// What a pid file means: never a stranger's process, never a supervised one, always what was left behind.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processIdentity, recordedProcesses, recordProcess, remainsOf, stopLeftovers, type RecordedProcess } from './pidFile'

const recorded: RecordedProcess = {
  name: 'kafka',
  pid: 40,
  identity: 'kafka@10',
  stopSignal: 'SIGTERM',
  supervisor: { pid: 30, identity: 'supervisor@9' },
}
const machine = (processes: Record<number, string>) => (pid: number) => processes[pid]

describe('a recorded process', () => {
  it('is gone when nothing has its id', () => {
    expect(remainsOf(recorded, machine({}), 99)).toEqual({ state: 'gone' })
  })

  it('is gone when its id belongs to another program now', () => {
    expect(remainsOf(recorded, machine({ 40: 'editor@77' }), 99)).toEqual({ state: 'gone' })
  })

  it('is supervised while its supervisor lives', () => {
    expect(remainsOf(recorded, machine({ 40: 'kafka@10', 30: 'supervisor@9' }), 99)).toEqual({ state: 'supervised', supervisorPid: 30 })
  })

  it('is a leftover when its supervisor is dead, also when the id of that one is used again', () => {
    expect(remainsOf(recorded, machine({ 40: 'kafka@10' }), 99)).toEqual({ state: 'leftover' })
    expect(remainsOf(recorded, machine({ 40: 'kafka@10', 30: 'shell@50' }), 99)).toEqual({ state: 'leftover' })
  })

  it('is a leftover to the process that started it itself', () => {
    expect(remainsOf(recorded, machine({ 40: 'kafka@10', 30: 'supervisor@9' }), 30)).toEqual({ state: 'leftover' })
  })
})

describe('leftovers', () => {
  it('are stopped and forgotten', async () => {
    const home = mkdtempSync(join(tmpdir(), 'stepcast-pid-'))
    const child = spawn('sleep', ['60'], { stdio: 'ignore' })
    const pid = child.pid ?? 0
    recordProcess(home, { name: 'sleeper', pid, stopSignal: 'SIGTERM' })
    expect(recordedProcesses(home)).toMatchObject([{ name: 'sleeper', pid }])
    expect(await stopLeftovers(home)).toEqual(['sleeper'])
    expect(processIdentity(pid)).toBeUndefined()
    expect(recordedProcesses(home)).toEqual([])
    rmSync(home, { recursive: true })
  })
})
