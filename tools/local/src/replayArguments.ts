// What `npm run replay-dead-letters` was asked for.
import { parseArgs } from 'node:util'
import { entriesAtMost, type LetterFilter } from './deadLetters'

export const usage = `npm run replay-dead-letters -- [options]
Lists the records that no service could use. Nothing is changed without --confirm.

  --topic <name>       only those that came from this topic, such as stepcast.sends.v1
  --reason <word>      only those put aside for this reason, such as unknown_template
  --workspace <id>     only those of this workspace (records that can be decoded)
  --since <time>       put aside at this time or later: 2026-01-31T12:00Z, or 90m, 12h, 3d ago
  --until <time>       put aside before this time
  --limit <n>          the first n records that match (${entriesAtMost})
  --confirm            produces them to their topics again: original key, bytes and headers
  --again              also those that were replayed before

Brokers, registry and database are those of the environment (KAFKA_BROKERS, SCHEMA_REGISTRY_URL, DATABASE_URL …), else those
of the local system. What was replayed is remembered in the database, schema "operations".`

/** The options as values. */
export interface ReplayArguments extends LetterFilter {
  readonly limit: number
  readonly confirm: boolean
  readonly again: boolean
  readonly help: boolean
}

/** @throws Error naming the option that cannot be used */
export function replayArguments(args: readonly string[], now = Date.now()): ReplayArguments {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      topic: { type: 'string' },
      reason: { type: 'string' },
      workspace: { type: 'string' },
      since: { type: 'string' },
      until: { type: 'string' },
      limit: { type: 'string' },
      confirm: { type: 'boolean' },
      again: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const limit = Number(values.limit ?? entriesAtMost)
  if (!Number.isInteger(limit) || limit < 1 || limit > entriesAtMost)
    throw new Error(`--limit ${values.limit} must be a whole number from 1 to ${entriesAtMost}.`)
  return {
    topic: values.topic,
    reason: values.reason,
    workspaceId: values.workspace,
    since: timeOf('--since', values.since, now),
    until: timeOf('--until', values.until, now),
    limit,
    confirm: values.confirm ?? false,
    again: values.again ?? false,
    help: values.help ?? false,
  }
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

function timeOf(option: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const ago = /^(\d+)([mhd])$/.exec(text)
  const at = ago ? now - Number(ago[1]) * unitMs[ago[2] as keyof typeof unitMs] : Date.parse(text)
  if (Number.isNaN(at)) throw new Error(`${option} ${text} is no time: give 2026-01-31T12:00Z, or 90m, 12h, 3d ago.`)
  return at
}
