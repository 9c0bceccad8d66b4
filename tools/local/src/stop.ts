// `npm run stop` and `npm run reset`: ends the system of a data directory, and deletes the data.
import { existsSync, readdirSync, rmSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { lockHolder, processIdentity, releaseLock, sleep, stopLeftovers } from '@stepcast/stack'
import { foreignServers, leftOnServers } from './foreignServers'
import { homeFrom } from './settings'
import { lockFile } from './startSystem'

/** Services get 10 s, then the registry, then broker and database 15 s: longer than that nothing stops in order. */
const stopMs = 60_000

/** Everything a system writes into its data directory. Only this is deleted: `STEPCAST_HOME` might name a directory that holds more. */
const written = [
  'kafka',
  'postgres',
  'postgres.partial',
  'registry',
  'run',
  'logs',
  'secrets',
  'services.json',
  'dev.env',
  'supervisor.lock',
]

/**
 * Stops the system of a data directory and waits until everything is gone.
 *
 * @returns what was there to stop
 */
async function stop(home: string): Promise<'a system' | 'leftovers' | 'nothing'> {
  const holder = lockHolder(lockFile(home))
  if (holder !== undefined) {
    process.kill(holder.pid, 'SIGTERM')
    const deadline = Date.now() + stopMs
    while (processIdentity(holder.pid) === holder.identity && Date.now() < deadline) await sleep(50)
    // Its guard stops what it leaves behind; what remains after that is stopped below.
    if (processIdentity(holder.pid) === holder.identity) process.kill(holder.pid, 'SIGKILL')
    while (processIdentity(holder.pid) === holder.identity) await sleep(20)
  }
  const leftovers = await stopLeftovers(home)
  releaseLock(lockFile(home))
  return holder !== undefined ? 'a system' : leftovers.length > 0 ? 'leftovers' : 'nothing'
}

/** @returns what a person should know of what is left */
function deleteData(home: string): string[] {
  const servers = foreignServers(home)
  const keeps = servers.database.length > 0
  for (const name of written.filter((one) => !keeps || one !== 'secrets')) rmSync(join(home, name), { recursive: true, force: true })
  if (existsSync(home) && readdirSync(home).length === 0) rmdirSync(home)
  return leftOnServers(servers, home)
}

async function main(): Promise<void> {
  const home = homeFrom(process.env)
  const stopped = await stop(home)
  if (process.argv[2] === '--delete-data') {
    const left = deleteData(home)
    console.log([`Deleted the data in ${home}.`, ...left].join('\n'))
    return
  }
  switch (stopped) {
    case 'a system':
      return console.log('Stopped.')
    case 'leftovers':
      return console.log('Stopped what an earlier start left running.')
    case 'nothing':
      return console.log(`Nothing runs on ${home}.`)
  }
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
