// The topic registry: every topic's name, key, value, retention, writers and readers. Contracts, so renaming breaks others.
import type { AvroRecords } from './generated/avro'
import type { ChannelType } from './ids'

/** The names of the records that topics carry. */
export type RecordName = keyof AvroRecords

/** One topic, tied to the record it carries. */
export interface Topic<R extends RecordName = RecordName> {
  readonly name: string
  /** The record of its values; subject `<name>-value`. */
  readonly record: R
  /** What the key is, in words. */
  readonly key: string
  /** `home`: P partitions, the same P for all of them; `single`: one. */
  readonly partitions: 'home' | 'single'
  readonly cleanup: 'delete' | 'compact'
  /** Days a record is kept; null where compacted. */
  readonly retentionDays: number | null
  readonly writers: readonly string[]
  readonly readers: readonly string[]
}

const topic = <R extends RecordName>(definition: Topic<R>): Topic<R> => definition

const commands = (name: string, dispatcher: string): Topic<'DispatchStep'> =>
  topic({
    name: `stepcast.commands.${name}.v1`,
    record: 'DispatchStep',
    key: 'sequenceId',
    partitions: 'home',
    cleanup: 'delete',
    retentionDays: 7,
    writers: ['orchestrator'],
    readers: [dispatcher],
  })

/** Every topic that carries one of our records. The schemas are registered in this order: a new topic is added at the end. */
export const topics = {
  sends: topic({
    name: 'stepcast.sends.v1',
    record: 'SendRequested',
    key: 'sequenceId; outside producers: any',
    partitions: 'home',
    cleanup: 'delete',
    retentionDays: 7,
    writers: ['producers', 'send-svc'],
    readers: ['orchestrator'],
  }),
  engagements: topic({
    name: 'stepcast.engagements.v1',
    record: 'EngagementReported',
    key: 'sequenceId; outside producers: any',
    partitions: 'home',
    cleanup: 'delete',
    retentionDays: 7,
    writers: ['dispatchers', 'receipts', 'producers'],
    readers: ['orchestrator'],
  }),
  inAppCommands: commands('in-app', 'inapp-dispatcher'),
  pushCommands: commands('push', 'push-dispatcher'),
  smsCommands: commands('sms', 'sms-dispatcher'),
  kakaoCommands: commands('kakao', 'messenger-dispatcher'),
  sequences: topic({
    name: 'stepcast.sequences.v1',
    record: 'SequenceChanged',
    key: 'sequenceId',
    partitions: 'home',
    cleanup: 'delete',
    retentionDays: 90,
    writers: ['orchestrator'],
    readers: ['metrics-svc', 'data teams'],
  }),
  controls: topic({
    name: 'stepcast.controls.v1',
    record: 'CancelRequested',
    key: 'workspaceId',
    partitions: 'home',
    cleanup: 'delete',
    retentionDays: 7,
    writers: ['producers', 'people-svc', 'orchestrator'],
    readers: ['orchestrator', 'send-svc'],
  }),
  templates: topic({
    name: 'stepcast.templates.v1',
    record: 'TemplateChanged',
    key: 'approved: ws/template/version; others: ws/template',
    partitions: 'single',
    cleanup: 'compact',
    retentionDays: null,
    writers: ['template-svc'],
    readers: ['orchestrator', 'dispatchers', 'send-svc', 'metrics-svc'],
  }),
  users: topic({
    name: 'stepcast.users.v1',
    record: 'UserChanged',
    key: 'ws/user',
    partitions: 'home',
    cleanup: 'compact',
    retentionDays: null,
    writers: ['people-svc'],
    readers: ['dispatchers', 'orchestrator', 'send-svc'],
  }),
  workspaces: topic({
    name: 'stepcast.workspaces.v1',
    record: 'WorkspaceChanged',
    key: 'ws',
    partitions: 'single',
    cleanup: 'compact',
    retentionDays: null,
    writers: ['gateway'],
    readers: ['all'],
  }),
} as const

/** Records that could not be used: original key and bytes, headers `topic`, `partition`, `offset`, `reason`, `detail`; `not-kept` where bytes did not fit. */
export const deadLetterTopic = {
  name: 'stepcast.dead-letters.v1',
  key: 'original key',
  partitions: 'home',
  cleanup: 'delete',
  retentionDays: 14,
  writers: ['every consumer'],
  readers: ['operator'],
} as const

/** The command topic of a channel. */
export const commandTopicOf: Readonly<Record<ChannelType, Topic<'DispatchStep'>>> = {
  in_app: topics.inAppCommands,
  push: topics.pushCommands,
  sms: topics.smsCommands,
  kakao: topics.kakaoCommands,
}

/** The schema registry's subject of a topic (TopicNameStrategy). */
export const subjectOf = (topicName: string): string => `${topicName}-value`

/** Largest record a topic takes, bytes (`max.message.bytes`; kafkajs makes one batch of all records of a partition). */
export const maxMessageBytes = 4 * 1024 * 1024

/** Key of an approved template version on `stepcast.templates.v1`. */
export const templateVersionKey = (workspaceId: string, templateId: string, version: number): string =>
  `${workspaceId}/${templateId}/${version}`
/** Key of a template's archive state on `stepcast.templates.v1`. */
export const templateKey = (workspaceId: string, templateId: string): string => `${workspaceId}/${templateId}`
/** Key of a user on `stepcast.users.v1`; a workspaceId holds no slash, so the first one parts the two. */
export const userKey = (workspaceId: string, userId: string): string => `${workspaceId}/${userId}`
/** Takes a key of `stepcast.users.v1` apart; null when it is not one. */
export function parseUserKey(key: string): { workspaceId: string; userId: string } | null {
  const slash = key.indexOf('/')
  return slash < 1 || slash === key.length - 1 ? null : { workspaceId: key.slice(0, slash), userId: key.slice(slash + 1) }
}
