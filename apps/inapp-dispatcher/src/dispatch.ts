// Takes commands of the in-app channel: stores their answers before Kafka's offset moves, then reports them.
import type { Pool } from 'pg'
import { commandProblem, topics, userKey, type DispatchStep, type EngagementReported } from '@stepcast/contracts'
import { consumeRecords, type BatchContext, type IncomingRecord, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { answerTo, channelType, type Known, type OptOut } from './answer'
import { holdErasures } from './erasure'
import { findAnswers, storeAnswers, type Answered } from './messages'

/** The service's name in reports and groups. */
export const serviceName = 'inapp-dispatcher'

/** What dispatching needs. */
export interface DispatchOptions {
  readonly connection: KafkaConnection
  readonly pool: Pool
  readonly templates: TemplatesReplica
  readonly users: UsersReplica<OptOut>
  /** The length of a minute, milliseconds. */
  readonly minuteMs: number
  /** Called when answers are stored and before they are reported. */
  readonly onStored?: () => Promise<void>
}

// 1,000 items with 2 kB of content are one statement of 2 MB.
const maxRecords = 1_000

/**
 * Answers commands until it is stopped. Answers are stored first and reported after; a crash in between leaves the offset where
 * it was, and the repeated command finds its row and repeats the report.
 */
export function startDispatch(options: DispatchOptions): Promise<RunningConsumer> {
  return consumeRecords(options.connection, {
    topic: topics.inAppCommands,
    groupId: serviceName,
    keyRequired: true,
    maxRecords,
    fromBeginning: true,
    handle: async (records, batch) => {
      const commands = await ours(records, batch)
      if (commands.length === 0) return
      // failpoint: before-answers-stored
      const answers = await answerAll(options, commands)
      await options.onStored?.()
      // failpoint: before-report
      await (await options.connection.producer()).send(topics.engagements, reportsOf(commands, answers))
      // failpoint: after-report
    },
  })
}

async function ours(records: readonly IncomingRecord<'DispatchStep'>[], batch: BatchContext<'DispatchStep'>): Promise<DispatchStep[]> {
  const commands: DispatchStep[] = []
  for (const record of records) {
    const command = record.value!
    const problem = commandProblem(command, channelType)
    if (problem === null) commands.push(command)
    else await batch.deadLetter(record, problem.reason, problem.detail)
  }
  return commands
}

async function answerAll(options: DispatchOptions, commands: readonly DispatchStep[]): Promise<Map<string, Answered>> {
  const { pool, users } = options
  const messageIds = [...new Set(commands.map(({ messageId }) => messageId))]
  const known = await findAnswers(pool, messageIds)
  const fresh = firstOfEach(commands.filter(({ messageId }) => !known.has(messageId)))
  if (fresh.length === 0) return known

  // One sample of the users topic per batch, taken before looking: an opt-out answered before the command was made is seen.
  if (fresh.some(({ action }) => action === 'send')) await users.caughtUp()
  const optOuts = await users.load(fresh)
  const templates = await findTemplates(options, fresh)
  await inTransaction(pool, async (tx) => {
    const { now, erasedAt } = await holdErasures(tx, fresh)
    const answers = fresh.map((command) => {
      const template = templates.get(templateKey(command)) ?? null
      const optOut = optOuts.get(userKey(command.workspaceId, command.userId)) ?? null
      return { command, answer: answerTo(command, { now, minuteMs: options.minuteMs, template, optOut, erasedAt: erasedAt(command) }) }
    })
    await storeAnswers(tx, answers, now)
  })
  // What is stored counts, not what was meant: a former owner of the partition may have been first.
  return findAnswers(pool, messageIds)
}

/** The first command of a message answers it: a withdrawal right behind its send comes too late. */
function firstOfEach(commands: readonly DispatchStep[]): DispatchStep[] {
  const first = new Map<string, DispatchStep>()
  for (const command of commands) if (!first.has(command.messageId)) first.set(command.messageId, command)
  return [...first.values()]
}

const templateKey = ({ workspaceId, templateId, templateVersion }: DispatchStep): string =>
  `${workspaceId}/${templateId}/${templateVersion}`

type Template = Known['template']

async function findTemplates({ templates }: DispatchOptions, commands: readonly DispatchStep[]): Promise<Map<string, Template>> {
  const wanted = new Map(commands.filter(({ action }) => action === 'send').map((command) => [templateKey(command), command]))
  const find = async (key: string): Promise<Template> => {
    const { workspaceId, templateId, templateVersion } = wanted.get(key)!
    return templates.version(workspaceId, templateId, templateVersion)
  }
  const found = new Map<string, Template>()
  for (const key of wanted.keys()) found.set(key, await find(key))
  const missing = [...found].filter(([, template]) => template === null).map(([key]) => key)
  // A missing row is a question: it is answered only by a replica that has read on to now.
  if (missing.length > 0) await templates.caughtUp()
  for (const key of missing) found.set(key, await find(key))
  return found
}

/** One report per message. An item in the feed stays when it is withdrawn, so that says nothing new. */
function reportsOf(
  commands: readonly DispatchStep[],
  answers: ReadonlyMap<string, Answered>,
): { key: string; value: EngagementReported }[] {
  const reports = new Map<string, { key: string; value: EngagementReported }>()
  for (const { action, messageId, sequenceId } of commands) {
    const { workspaceId, answer, reason, at } = answers.get(messageId)!
    if (action === 'withdraw' && reason !== 'withdrawn') continue
    reports.set(messageId, {
      key: sequenceId,
      value: { workspaceId, messageId, kind: answer, occurredAt: at, source: serviceName, reason, providerMessageId: null, detail: {} },
    })
  }
  return [...reports.values()]
}
