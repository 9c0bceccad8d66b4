// Strikes a process of the test build at a named point: arms it while it runs, and waits until it got there.
import { mkdirSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '@stepcast/stack'
import type { Kept } from './keeper'

/** How `preload.ts` is told. */
export class Failpoints {
  private readonly directory: string

  constructor(home: string) {
    this.directory = join(home, 'failpoints')
    mkdirSync(this.directory, { recursive: true })
  }

  /** What a process must have in its environment. */
  envOf(name: string): NodeJS.ProcessEnv {
    return { NODE_OPTIONS: `--require ${join(__dirname, 'preload.js')}`, STEPCAST_FAILPOINT_FILE: this.fileOf(name) }
  }

  /**
   * Waits until the process has passed the point for the n-th time and was struck there.
   * @returns false: it never came there within that time, and is not armed any more
   */
  async strike(part: Kept, failpoint: { name: string; nth: number; action: 'kill' | 'stop' }, withinMs: number): Promise<boolean> {
    const struck = `${this.fileOf(part.name)}.struck`
    rmSync(struck, { force: true })
    this.order(part.name, { failpoint })
    part.kill('SIGUSR2')
    const deadline = Date.now() + withinMs
    while (!existsSync(struck) && Date.now() < deadline) await sleep(20)
    const isStruck = existsSync(struck)
    this.order(part.name, {})
    if (!isStruck) part.kill('SIGUSR2')
    return isStruck
  }

  /** The clock of the process from its next start on; 0: the true one. */
  setClock(name: string, clockOffsetMs: number): void {
    this.order(name, { clockOffsetMs })
  }

  private order(name: string, orders: object): void {
    writeFileSync(this.fileOf(name), JSON.stringify(orders))
  }

  private fileOf(name: string): string {
    return join(this.directory, `${name}.json`)
  }
}
