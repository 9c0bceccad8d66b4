// From records to inputs: decode, check, send home what landed elsewhere, find each send's template. No transaction yet.
import {
  RecordDecoder, freeIdProblem, parseMessageId, partitionOf, sequenceIdOf, templateIdPattern, topics, workspaceIdPattern,
  type EngagementReported, type MessageIdParts, type SendRequested,
} from '@stepcast/contracts'
import { decodeAll, writeDeadLetters, type DeadLetter, type IncomingRecord, type KafkaConnection, type RawIncoming } from '@stepcast/kafka'
import type { TemplatesReplica } from '@stepcast/replica'
import { resolveVariables, type TemplateVersion } from '@stepcast/template'

/** A send to be started, or refused unless its sequence exists already. */
export interface StartRequest {
  readonly sequenceId: string
  readonly send: SendRequested
  readonly template: Omit<TemplateVersion, 'archived'> | null
  readonly variables: Readonly<Record<string, string>>
  /** Why it cannot start; null: it can. */
  readonly refusal: Omit<DeadLetter, 'record'> | null
  readonly record: RawIncoming
  readonly traceparent: string | null
}

/** A fact reported about a message. */
export interface Report extends MessageIdParts {
  readonly report: EngagementReported
  readonly record: RawIncoming
  readonly traceparent: string | null
}

/** What intake needs. */
export interface IntakeOptions {
  readonly connection: KafkaConnection
  readonly templates: TemplatesReplica
  /** P, the number of home partitions. */
  readonly partitions: number
}

// A change repeats what its inputs said and must fit into a 4 MB record with room to spare.
const maxRecordBytes = 256 * 1024
const maxVariablesBytes = 64 * 1024

type Refusal = Omit<DeadLetter, 'record'>

/** Reads one partition's records. */
export class Intake {
  private readonly sendDecoder: RecordDecoder<'SendRequested'>
  private readonly engagementDecoder: RecordDecoder<'EngagementReported'>

  constructor(private readonly options: IntakeOptions) {
    const { schemaById } = options.connection.registry
    this.sendDecoder = new RecordDecoder('SendRequested', schemaById)
    this.engagementDecoder = new RecordDecoder('EngagementReported', schemaById)
  }

  /** The sends among these records that are at home here; the rest were sent home or became dead letters, and Kafka has them. */
  async sends(partition: number, records: readonly RawIncoming[]): Promise<StartRequest[]> {
    if (records.length === 0) return []
    const { records: decoded, letters } = await decodeAll(this.sendDecoder, records, { keyRequired: false, tombstones: false })
    const away: Away[] = []
    const home: { sequenceId: string; incoming: IncomingRecord<'SendRequested'> }[] = []
    for (const incoming of decoded) {
      const problem = problemOf(incoming.value!, incoming.raw)
      if (problem) {
        letters.push({ record: incoming.raw, ...problem })
        continue
      }
      const { workspaceId, sendId, userId } = incoming.value!
      const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
      if (partitionOf(sequenceId, this.options.partitions) === partition) home.push({ sequenceId, incoming })
      else away.push({ sequenceId, record: incoming.raw })
    }
    await writeDeadLetters(this.options.connection, letters)
    await this.sendHome(topics.sends.name, away)
    return this.withTemplates(home)
  }

  /** The reports among these records that are at home here; likewise. */
  async engagements(partition: number, records: readonly RawIncoming[]): Promise<Report[]> {
    if (records.length === 0) return []
    const { records: decoded, letters } = await decodeAll(this.engagementDecoder, records, { keyRequired: false, tombstones: false })
    const away: Away[] = []
    const home: Report[] = []
    for (const incoming of decoded) {
      const { raw } = incoming
      const report = incoming.value!
      const parts = parseMessageId(report.messageId)
      if (parts === null) letters.push({ record: raw, reason: 'invalid_message_id', detail: 'messageId must be <sequenceId>.<step>.<channelType>' })
      else if (tooLarge(raw)) letters.push({ record: raw, reason: 'too_large', detail: `a record may have ${maxRecordBytes} bytes, this one has ${raw.value!.length}` })
      else if (partitionOf(parts.sequenceId, this.options.partitions) !== partition) away.push({ sequenceId: parts.sequenceId, record: raw })
      else home.push({ ...parts, report, record: raw, traceparent: incoming.header('traceparent') })
    }
    await writeDeadLetters(this.options.connection, letters)
    await this.sendHome(topics.engagements.name, away)
    return home
  }

  // Outside producers use any key and any hash. Acknowledged before the record's own offset moves on.
  private async sendHome(topic: string, away: readonly Away[]): Promise<void> {
    if (away.length === 0) return
    const producer = await this.options.connection.producer()
    await producer.sendRaw(topic, away.map(({ sequenceId, record }) => ({
      key: sequenceId, value: record.value, partition: partitionOf(sequenceId, this.options.partitions),
      headers: { 'origin-topic': record.topic, 'origin-partition': String(record.partition), 'origin-offset': String(record.offset), ...record.headers },
    })))
  }

  private async withTemplates(home: readonly { sequenceId: string; incoming: IncomingRecord<'SendRequested'> }[]): Promise<StartRequest[]> {
    const answers = new Map<string, Promise<{ template: Omit<TemplateVersion, 'archived'> | null; refusal: Refusal | null }>>()
    const requests: StartRequest[] = []
    for (const { sequenceId, incoming } of home) {
      const send = incoming.value!
      const question = `${send.workspaceId}/${send.templateId}/${send.templateVersion ?? 'latest'}/${send.source ?? 'kafka'}`
      let answer = answers.get(question)
      if (!answer) answers.set(question, (answer = this.templateOf(send)))
      const { template, refusal } = await answer
      const { variables, missing } = template ? resolveVariables(template.variableSchema, send.variables, {}) : { variables: {}, missing: [] }
      requests.push({
        sequenceId, send, template, variables, record: incoming.raw, traceparent: incoming.header('traceparent'),
        refusal: refusal ?? (missing.length > 0 ? { reason: 'missing_variables', detail: `required variables without a value: ${missing.join(', ')}` } : null),
      })
    }
    return requests
  }

  private async templateOf({ workspaceId, templateId, templateVersion, source }: SendRequested): Promise<{ template: Omit<TemplateVersion, 'archived'> | null; refusal: Refusal | null }> {
    const { templates } = this.options
    // send-svc has judged its own sends when it accepted them; an archive since then refuses new sends only (rule 14).
    const accepted = source !== null && source !== 'kafka' && templateVersion !== null
    const known = accepted ? await templates.version(workspaceId, templateId, templateVersion) : null
    if (known) return { template: known, refusal: null }
    const template = await templates.ask({ workspaceId, templateId, version: templateVersion })
    if (template === null) {
      const which = templateVersion === null ? 'no approved version' : `no approved version ${templateVersion}`
      return { template, refusal: { reason: 'unknown_template', detail: `template ${templateId} has ${which} in workspace ${workspaceId}` } }
    }
    if (template.archived && !accepted) return { template, refusal: { reason: 'archived_template', detail: `template ${templateId} is archived` } }
    return { template, refusal: null }
  }
}

interface Away {
  readonly sequenceId: string
  readonly record: RawIncoming
}

const tooLarge = (record: RawIncoming): boolean => record.value!.length > maxRecordBytes

function problemOf(send: SendRequested, record: RawIncoming): Refusal | null {
  const invalid = (field: string, allowed: string): Refusal => ({ reason: 'invalid_send', detail: `${field} ${allowed}` })
  if (tooLarge(record)) return { reason: 'too_large', detail: `a record may have ${maxRecordBytes} bytes, this one has ${record.value!.length}` }
  if (!workspaceIdPattern.test(send.workspaceId)) return invalid('workspaceId', `must match ${workspaceIdPattern.source}`)
  for (const field of ['sendId', 'userId'] as const) {
    const problem = freeIdProblem(send[field])
    if (problem) return invalid(field, problem)
  }
  if (!templateIdPattern.test(send.templateId)) return invalid('templateId', `must match ${templateIdPattern.source}`)
  if (send.templateVersion !== null && send.templateVersion < 1) return invalid('templateVersion', 'must be 1 or more')
  if (send.campaignId !== null && freeIdProblem(send.campaignId)) return invalid('campaignId', freeIdProblem(send.campaignId)!)
  // PostgreSQL's jsonb has no NUL: stored, it would fail this turn and every one after it.
  let bytes = 0
  for (const name in send.variables) {
    const value = send.variables[name]!
    if (name.includes('\0') || value.includes('\0')) return invalid('variables', 'must not hold the character NUL')
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  if (bytes > maxVariablesBytes) return { reason: 'variables_too_large', detail: `variables may have ${maxVariablesBytes} bytes, these have ${bytes}` }
  return null
}
