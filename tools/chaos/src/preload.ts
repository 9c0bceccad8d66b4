// Loaded before a service of a test build: ends or stops the process at a named point, and shifts its clock. No product build knows of it.
import { readFileSync, writeFileSync } from 'node:fs'

/** What a process is told by its file. */
interface Orders {
  /** Where to strike, at the how-manieth passing, and how. */
  readonly failpoint?: { readonly name: string; readonly nth: number; readonly action: 'kill' | 'stop' }
  /** Added to the clock for the life of the process. */
  readonly clockOffsetMs?: number
}

const file = process.env.STEPCAST_FAILPOINT_FILE
let orders: Orders = read()
let passed = 0

function read(): Orders {
  try {
    return JSON.parse(readFileSync(file!, 'utf8')) as Orders
  } catch {
    // No file, no orders.
    return {}
  }
}

// Armed in a running process: the file is written, then the signal sent.
process.on('SIGUSR2', () => {
  orders = { ...read(), clockOffsetMs: orders.clockOffsetMs }
  passed = 0
})

const never = new Promise<void>(() => {})

;(globalThis as { stepcastFailpoint?: (name: string) => Promise<void> | undefined }).stepcastFailpoint = (name) => {
  const { failpoint } = orders
  if (failpoint?.name !== name || ++passed < failpoint.nth) return undefined
  orders = { ...orders, failpoint: undefined }
  writeFileSync(`${file}.struck`, name)
  process.kill(process.pid, failpoint.action === 'kill' ? 'SIGKILL' : 'SIGSTOP')
  // A killed process may live on for some instructions: none of them is the next one of this code.
  return failpoint.action === 'kill' ? never : undefined
}

const clockOffsetMs = orders.clockOffsetMs ?? 0
if (clockOffsetMs !== 0) {
  const TrueDate = Date
  globalThis.Date = class extends TrueDate {
    constructor(...given: unknown[]) {
      super(...((given.length === 0 ? [TrueDate.now() + clockOffsetMs] : given) as [number]))
    }
    static override now(): number {
      return TrueDate.now() + clockOffsetMs
    }
  } as DateConstructor
}
