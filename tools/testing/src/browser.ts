// A real browser for specs, where the machine has one.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The Chromium of this machine (`CHROMIUM` names another); null: there is none, and specs that need one are skipped. */
export const chromium: string | null =
  [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (path) => path && existsSync(path),
  ) ?? null

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--window-size=800,600',
  '--remote-debugging-port=0',
]

/** Opens a page in a browser of its own; answers how to close both. The page tells what it finds by calling the spec's own server. */
export async function openPage(url: string): Promise<() => Promise<void>> {
  if (chromium === null) throw new Error('This machine has no Chromium')
  const profile = await mkdtemp(join(tmpdir(), 'stepcast-chromium-'))
  // A group of its own: the browser's children go with it.
  const browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, url], { stdio: 'ignore', detached: true })
  const ended = new Promise<void>((done) => browser.once('exit', () => done()))
  return async () => {
    if (browser.exitCode === null) process.kill(-browser.pid!, 'SIGKILL')
    await ended
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
