// The command that lists dead letters and replays them: its conversation with a person.
import { deadLetterTopic } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import { readDeadLetters, tableOf } from './deadLetters'
import { judge, replay, ReplayedLetters, type Verdict } from './replay'
import type { ReplayArguments } from './replayArguments'

/** What the command says of each entry. */
const states: Readonly<Record<Verdict, string>> = {
  ready: 'to be replayed',
  replayed: 'replayed before',
  refused: 'not replayable',
  gone: 'bytes not kept',
}
// A screenful or two; the rest is a matter of narrower filters.
const shownAtMost = 100

/** Lists, and replays when that is confirmed; `say` gets lines for a person. */
export async function replayDeadLetters(asked: ReplayArguments, env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<void> {
  const databaseUrl = databaseUrlFromEnv(env)
  const connection = new KafkaConnection({
    kafka: kafkaConfigFromEnv(env, 'replay-dead-letters'),
    registry: registryConfigFromEnv(env),
    log: silentLog,
  })
  let replayed: ReplayedLetters | undefined
  try {
    replayed = await ReplayedLetters.open(databaseUrl, await connection.clusterId(), connection.physical(deadLetterTopic.name))
    const { entries, beyond } = await readDeadLetters(connection, asked, asked.limit)
    const verdicts = await judge(entries, replayed, asked)
    tableOf(entries.slice(0, shownAtMost), (entry) => states[verdicts.get(entry)!]).forEach(say)
    if (entries.length > shownAtMost) say(`… and ${entries.length - shownAtMost} more`)
    const ready = entries.filter((entry) => verdicts.get(entry) === 'ready')
    const before = entries.filter((entry) => verdicts.get(entry) === 'replayed').length
    say('')
    say(
      `${entries.length} records match${beyond > 0 ? `, and more beyond the limit of ${asked.limit}` : ''}: ` +
        `${ready.length} to be replayed, ${before} replayed before, ${entries.length - ready.length - before} not replayable.`,
    )
    if (entries.some((entry) => verdicts.get(entry) === 'gone')) {
      say('Where bytes are not kept, the letter has only what tells the record: its producer has to send it again.')
    }
    if (ready.length === 0) return
    if (!asked.confirm) return say('Nothing was changed. To produce them to their topics again: --confirm')
    say(`Replayed ${await replay(connection, ready, replayed)} records.`)
  } finally {
    await replayed?.close()
    await connection.close()
  }
}
