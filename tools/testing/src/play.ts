// What outside producers write, for specs that need a template and sends.
import { randomBytes } from 'node:crypto'
import { parseMessageId, templateVersionKey, topics, type EngagementReported, type SendRequested } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

/** Approves a template of workspace `w`: in-app until viewed, then push; a variable `text` that need not be given. */
export async function approveTwoSteps(
  connection: KafkaConnection,
  templateId: string,
  waitMinutes = 5,
  schema: readonly object[] = [{ name: 'text', type: 'string', required: false, default: null }],
): Promise<void> {
  const config = {
    sequenceEnabled: true,
    sequence: {
      steps: [
        { channels: ['in_app'], stopCondition: 'viewed', waitMinutes },
        { channels: ['push'], stopCondition: null, waitMinutes: null },
      ],
      onFailure: 'advance',
      lateSignal: 'stop',
      dispatchTtlMinutes: 1440,
    },
  }
  const channels = [
    { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } },
    { channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } },
  ]
  const variableSchema = JSON.stringify(schema)
  await (await connection.producer()).send(topics.templates, [
    {
      key: templateVersionKey('w', templateId, 1),
      value: {
        workspaceId: 'w',
        templateId,
        changedAt: Date.now(),
        change: {
          type: 'TemplateApproved',
          version: 1,
          name: templateId,
          category: 'Custom',
          variableSchema,
          channels: JSON.stringify(channels),
          config: JSON.stringify(config),
        },
      },
    },
  ])
}

/** A send of workspace `w` as an outside producer writes it. */
export const sendRequested = (templateId: string, sendId: string, userId: string, more: Partial<SendRequested> = {}): SendRequested => ({
  workspaceId: 'w',
  sendId,
  userId,
  templateId,
  templateVersion: null,
  campaignId: null,
  variables: {},
  tag: null,
  source: null,
  requestedAt: Date.now(),
  ...more,
})

/** Produces sends as outsiders do: random keys, any partition. */
export async function produceSends(connection: KafkaConnection, sends: readonly SendRequested[]): Promise<void> {
  await (await connection.producer()).send(
    topics.sends,
    sends.map((value) => ({ key: randomBytes(4).toString('hex'), value })),
  )
}

/** A report of workspace `w` as an outside producer writes it: now, with nothing but its kind, unless told. */
export const engagementReported = (
  messageId: string,
  kind: EngagementReported['kind'],
  more: Partial<EngagementReported> = {},
): EngagementReported => ({
  workspaceId: 'w',
  messageId,
  kind,
  occurredAt: Date.now(),
  source: 'spec',
  reason: null,
  providerMessageId: null,
  detail: {},
  ...more,
})

/** Produces reports, keyed by their sequences; one that names no message by whatever it names. */
export async function produceEngagements(connection: KafkaConnection, reports: readonly EngagementReported[]): Promise<void> {
  await (await connection.producer()).send(
    topics.engagements,
    reports.map((value) => ({ key: parseMessageId(value.messageId)?.sequenceId ?? value.messageId, value })),
  )
}
