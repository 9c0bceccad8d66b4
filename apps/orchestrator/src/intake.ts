// From records to inputs: decode, check, send home what landed elsewhere, find each send's template. No transaction yet.
import {
  RecordDecoder,
  engagementProblem,
  parseMessageId,
  partitionOf,
  sendProblem,
  sequenceIdOf,
  sizeProblem,
  topics,
  type EngagementReported,
  type MessageIdParts,
  type Refusal,
  type SendRequested,
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
    const { records: decoded, letters } = await decodeFitting(this.sendDecoder, records)
    const away: Away[] = []
    const home: { sequenceId: string; incoming: IncomingRecord<'SendRequested'> }[] = []
    for (const incoming of decoded) {
      const problem = sendProblem(incoming.value!)
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
    const { records: decoded, letters } = await decodeFitting(this.engagementDecoder, records)
    const away: Away[] = []
    const home: Report[] = []
    for (const incoming of decoded) {
      const { raw } = incoming
      const report = incoming.value!
      const parts = parseMessageId(report.messageId)
      const problem = engagementProblem(report, parts)
      if (problem || parts === null) {
        letters.push({ record: raw, ...problem! })
        continue
      }
      if (partitionOf(parts.sequenceId, this.options.partitions) !== partition) away.push({ sequenceId: parts.sequenceId, record: raw })
      else home.push({ ...parts, report, record: raw, traceparent: incoming.traceparent })
    }
    await writeDeadLetters(this.options.connection, letters)
    await this.sendHome(topics.engagements.name, away)
    return home
  }

  // Outside producers use any key and any hash. Acknowledged before the record's own offset moves on. What is too large is refused before,
  // so that three more headers always fit. A record that is replayed from the dead letters says already where it stood first.
  private async sendHome(topic: string, away: readonly Away[]): Promise<void> {
    if (away.length === 0) return
    const producer = await this.options.connection.producer()
    await producer.sendRaw(
      topic,
      away.map(({ sequenceId, record }) => ({
        key: sequenceId,
        value: record.value,
        partition: partitionOf(sequenceId, this.options.partitions),
        headers: {
          'origin-topic': record.topic,
          'origin-partition': String(record.partition),
          'origin-offset': String(record.offset),
          ...record.headers,
        },
      })),
    )
  }

  private async withTemplates(home: readonly { sequenceId: string; incoming: IncomingRecord<'SendRequested'> }[]): Promise<StartRequest[]> {
    const answers = new Map<string, { template: Omit<TemplateVersion, 'archived'> | null; refusal: Refusal | null }>()
    const requests: StartRequest[] = []
    for (const { sequenceId, incoming } of home) {
      const send = incoming.value!
      const question = `${send.workspaceId}/${send.templateId}/${send.templateVersion ?? 'latest'}/${send.source ?? 'kafka'}`
      let answer = answers.get(question)
      if (!answer) answers.set(question, (answer = await this.templateOf(send)))
      const { template, refusal } = answer
      const { variables, missing } = template
        ? resolveVariables(template.variableSchema, send.variables, {})
        : { variables: {}, missing: [] }
      requests.push({
        sequenceId,
        send,
        template,
        variables,
        record: incoming.raw,
        traceparent: incoming.traceparent,
        refusal:
          refusal ??
          (missing.length > 0
            ? { reason: 'missing_variables', detail: `required variables without a value: ${missing.join(', ')}` }
            : null),
      })
    }
    return requests
  }

  private async templateOf({
    workspaceId,
    templateId,
    templateVersion,
    source,
  }: SendRequested): Promise<{ template: Omit<TemplateVersion, 'archived'> | null; refusal: Refusal | null }> {
    const { templates } = this.options
    // send-svc has judged its own sends when it accepted them; an archive since then refuses new sends only (rule 14).
    const accepted = source !== null && source !== 'kafka' && templateVersion !== null
    const known = accepted ? await templates.version(workspaceId, templateId, templateVersion) : null
    if (known) return { template: known, refusal: null }
    const template = await templates.ask({ workspaceId, templateId, version: templateVersion })
    if (template === null) {
      const which = templateVersion === null ? 'no approved version' : `no approved version ${templateVersion}`
      return {
        template,
        refusal: { reason: 'unknown_template', detail: `template ${templateId} has ${which} in workspace ${workspaceId}` },
      }
    }
    if (template.archived && !accepted)
      return { template, refusal: { reason: 'archived_template', detail: `template ${templateId} is archived` } }
    return { template, refusal: null }
  }
}

interface Away {
  readonly sequenceId: string
  readonly record: RawIncoming
}

/** What sending home puts to a record at most, its key included: what fitted where it was found fits at home. */
const reroutedBytes = 256

/** Decodes the records that are no larger than a producer may write; the others are dead letters, whatever they hold. */
async function decodeFitting<R extends 'SendRequested' | 'EngagementReported'>(
  decoder: RecordDecoder<R>,
  records: readonly RawIncoming[],
): Promise<{ records: IncomingRecord<R>[]; letters: DeadLetter[] }> {
  const tooLarge: DeadLetter[] = []
  const fitting = records.filter((record) => {
    const problem = sizeProblem(record, record.headers['origin-offset'] === undefined ? 0 : reroutedBytes)
    if (problem) tooLarge.push({ record, ...problem })
    return problem === null
  })
  const { records: decoded, letters } = await decodeAll(decoder, fitting, { keyRequired: false, tombstones: false })
  return { records: decoded, letters: [...tooLarge, ...letters] }
}
