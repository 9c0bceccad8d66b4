// A record that nobody can read, and the programs that tell a person of it, with the rights and the variables that a person has.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deadLetterTopic, topics } from '@stepcast/contracts'
import { checkout } from '@stepcast/local'
import { sleep } from '@stepcast/stack'
import type { Installation } from './installation'
import { connectionAs, type ForeignKafka } from './kafka'

const putAsideWithinMs = 20_000
const programs = ['tools/demo/src/deadLetters.mjs', 'tools/local/dist/replayDeadLetters.js']

/** @throws Error when it is not put aside, or a program does not tell of it */
export async function deadLettersAreRead({ admin }: ForeignKafka, { env }: Installation): Promise<void> {
  const connection = connectionAs(admin)
  try {
    await (await connection.producer()).sendRaw(topics.sends.name, [{ key: 'nobody', value: Buffer.from('not Avro') }])
    for (const deadline = Date.now() + putAsideWithinMs; ; await sleep(200)) {
      if ([...(await connection.offsets(deadLetterTopic.name)).values()].some(({ low, end }) => end > low)) break
      if (Date.now() > deadline) throw new Error(`it was not put aside within ${putAsideWithinMs / 1_000} s`)
    }
  } finally {
    await connection.close()
  }
  for (const program of programs) {
    const { stdout } = await promisify(execFile)(process.execPath, [join(checkout, program)], { env, cwd: checkout, timeout: 30_000 })
    if (!stdout.includes('not_avro')) throw new Error(`${program} says: ${stdout.slice(0, 500)}`)
  }
}
