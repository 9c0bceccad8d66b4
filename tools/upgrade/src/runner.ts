// A process that runs one tree's services the way that tree starts them: told by its parent what to start and when to stop.
import { join } from 'node:path'

/** What the parent says. */
export type Order = { readonly start: { readonly root: string; readonly options: object } } | { readonly stop: true }
/** What this process says. */
export type Word =
  | { readonly ready: { readonly url: string; readonly sandboxUrl: string } }
  | { readonly failed: string }
  | { readonly line: string }

interface Local {
  startSystem(options: object): Promise<{ readonly url: string; readonly sandboxUrl: string; stop(): Promise<void> }>
}

const tell = (word: Word): void => void process.send?.(word)

let stop: () => Promise<void> = async () => {}
let starting: Promise<void> = Promise.resolve()

async function start(root: string, options: object): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- of the tree that is asked for, which may be another than ours
  const { startSystem } = require(join(root, 'tools', 'local', 'dist', 'index.js')) as Local
  const system = await startSystem({ ...options, onProgress: (line: string) => tell({ line }) })
  stop = () => system.stop()
  tell({ ready: { url: system.url, sandboxUrl: system.sandboxUrl } })
}

async function end(): Promise<void> {
  await starting.catch(() => {})
  await stop()
  process.exit(0)
}

process.on('message', (order: Order) => {
  if ('stop' in order) void end()
  else {
    starting = start(order.start.root, order.start.options)
    starting.catch((error: Error) => {
      tell({ failed: error.message })
      process.exit(1)
    })
  }
})
// The parent is gone: nobody will say stop.
process.on('disconnect', () => void end())
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end())
