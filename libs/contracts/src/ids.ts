// Identities of everything that crosses a process: how they are made, checked and taken apart.
import { createHash, randomUUID } from 'node:crypto'

/** Channels a step can use, in the words of topics, tables and screens. */
export const channelTypes = ['in_app', 'push', 'sms', 'kakao'] as const
/** One of {@link channelTypes}. */
export type ChannelType = (typeof channelTypes)[number]

/** `workspaceId`: the tenant's name, safe in URLs, topics' keys and token headers. */
export const workspaceIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/
/** `templateId`: a name safe in URLs and record keys. */
export const templateIdPattern = /^[a-z0-9][a-z0-9_-]{0,63}$/
// The published limits of sendId and userId: 1..128 characters, no control characters (C0, DEL, C1).
const freeIdPattern = /^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u

/** Says what is wrong with a producer's `sendId` or `userId`; null when it is fine. */
export const freeIdProblem = (id: string): string | null =>
  freeIdPattern.test(id) && id.isWellFormed() ? null : 'must be 1 to 128 characters without control characters or half surrogate pairs'

const sequenceNamespace = Buffer.from('4e3ff15c3456551a8ccbd406acd4988c', 'hex')
const sendNamespace = Buffer.from('2ed95784053a5c21a74a18f6c88a3a63', 'hex')

/** UUIDv5 (RFC 9562 §5.5). By hand on node:crypto: 3× faster than the uuid package here, and it is on the hot path. */
export function uuidV5(namespace: Buffer, name: string): string {
  const hex = createHash('sha1').update(namespace).update(name, 'utf8').digest('hex')
  const variant = ((parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The one sequence of a send for a user: UUIDv5 of `workspaceId` LF `sendId` LF `userId`. */
export const sequenceIdOf = (workspaceId: string, sendId: string, userId: string): string =>
  uuidV5(sequenceNamespace, `${workspaceId}\n${sendId}\n${userId}`)

/** The send made by an `Idempotency-Key`: UUIDv5 of `workspaceId` LF key; a random UUID without a key. */
export const sendIdOf = (workspaceId: string, idempotencyKey: string | null): string =>
  idempotencyKey === null ? randomUUID() : uuidV5(sendNamespace, `${workspaceId}\n${idempotencyKey}`)

/** `messageId` = `<sequenceId>.<step>.<channelType>`. */
export const messageIdOf = (sequenceId: string, step: number, channelType: string): string => `${sequenceId}.${step}.${channelType}`

const messageIdPattern =
  /^([0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.([1-9][0-9]{0,2})\.(in_app|push|sms|kakao)$/

/** The parts of a messageId. */
export interface MessageIdParts {
  readonly sequenceId: string
  readonly step: number
  readonly channelType: ChannelType
}

/** Takes a messageId apart; null when it is not one. */
export function parseMessageId(messageId: string): MessageIdParts | null {
  const match = messageIdPattern.exec(messageId)
  if (match === null) return null
  return { sequenceId: match[1]!, step: Number(match[2]), channelType: match[3] as ChannelType }
}

/** Whether the text is a sequenceId (a lower-case UUIDv5). */
export const isSequenceId = (text: string): boolean => /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)

/**
 * Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2), made positive.
 * The Kafka client's own partitioner computes the same from a key; the home partition must not depend on a client.
 */
export function murmur2(data: Uint8Array): number {
  const { length } = data
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m)
    h ^= k
  }
  const rest = length - i
  if (rest === 3) h ^= (data[i + 2]! & 0xff) << 16
  if (rest >= 2) h ^= (data[i + 1]! & 0xff) << 8
  if (rest >= 1) h = Math.imul(h ^ (data[i]! & 0xff), m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h & 0x7fffffff
}

// Keys are a few dozen bytes; longer ones get a buffer of their own.
const keyBytes = Buffer.alloc(512)

/** The partition of a key among `partitions`; for a sequenceId its home partition, where alone it is decided. */
export function partitionOf(key: string, partitions: number): number {
  if (key.length * 3 > keyBytes.length) return murmur2(Buffer.from(key)) % partitions
  return murmur2(keyBytes.subarray(0, keyBytes.write(key))) % partitions
}
