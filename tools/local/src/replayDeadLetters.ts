// `npm run replay-dead-letters`: lists what no service could use, and gives it back to its topics on request.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDevEnv } from './devEnv'
import { replayArguments, usage } from './replayArguments'
import { replayDeadLetters } from './replayCommand'
import { homeFrom } from './settings'

/** The environment, completed by what the local system wrote down for its users. */
function environment(): NodeJS.ProcessEnv {
  const file = join(homeFrom(process.env), 'dev.env')
  return { ...(existsSync(file) ? parseDevEnv(readFileSync(file, 'utf8')) : {}), ...process.env }
}

async function main(): Promise<void> {
  const asked = replayArguments(process.argv.slice(2))
  if (asked.help) console.log(usage)
  else await replayDeadLetters(asked, environment(), (line) => console.log(line))
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
