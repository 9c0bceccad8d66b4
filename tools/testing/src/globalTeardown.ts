// Stops what globalSetup started and removes its data.
import { rmSync } from 'node:fs'

/** Jest's globalTeardown. */
export default async function globalTeardown(): Promise<void> {
  const running = globalThis.stepcastSpecStack
  if (running === undefined) return
  await running.stack.stop()
  rmSync(running.home, { recursive: true, force: true })
}
