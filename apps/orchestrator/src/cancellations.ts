// Which cancel covers which sequence (rules 15 and 22). Our own record order decides, never a producer's clock.
import { topics, type CancelScope, type SendRequested } from '@stepcast/contracts'
import type { RawIncoming } from '@stepcast/kafka'
import type { Head } from './sql/sequences'

/** The name of something that may be cancelled. */
export interface Target {
  readonly workspaceId: string
  readonly scope: CancelScope
  readonly id: string
}

/** A key for maps of targets. */
export const targetKey = ({ workspaceId, scope, id }: Target): string => `${workspaceId}\n${scope}\n${id}`

/** What a cancel left. */
export interface Tombstone {
  readonly scope: CancelScope
  /** When it was asked for, milliseconds, by one of our own clocks. */
  readonly requestedAt: number
  /** When it was recorded, milliseconds of the database's clock. */
  readonly recordedAt: number
  /** The end of each partition of the sends when it was recorded; null: it needs none, or is of a version that did not ask. */
  readonly sendsEnds: readonly number[] | null
}

/** Tombstones by {@link targetKey}. */
export type Tombstones = ReadonlyMap<string, Tombstone>

type Names = Pick<Head, 'workspaceId' | 'sequenceId' | 'sendId' | 'userId' | 'campaignId'>

/** Everything by which a sequence may be cancelled. */
export const targetsOf = ({ workspaceId, sequenceId, sendId, userId, campaignId }: Names): Target[] => [
  { workspaceId, scope: 'sequence', id: sequenceId },
  { workspaceId, scope: 'send', id: sendId },
  { workspaceId, scope: 'user', id: userId },
  ...(campaignId === null ? [] : [{ workspaceId, scope: 'campaign' as const, id: campaignId }]),
]

/** Where a send stands, and what it says of itself. */
export interface SendPlace {
  readonly send: Pick<SendRequested, 'source' | 'requestedAt'>
  readonly record: Pick<RawIncoming, 'partition' | 'offset' | 'headers'>
}

/**
 * Whether a send that starts now is covered. A cancelled person may come back: scope `user` covers the sends that were there when the
 * cancel was recorded, by their place on the topic, and those that our own API had accepted by then and fans out later.
 */
export function covers(tombstone: Tombstone, { send, record }: SendPlace): boolean {
  if (tombstone.scope !== 'user') return true
  if (tombstone.sendsEnds === null) return send.requestedAt <= tombstone.requestedAt
  const isOurs = send.source !== null && send.source !== 'kafka'
  return wasThere(record, tombstone.sendsEnds) || (isOurs && send.requestedAt <= tombstone.requestedAt)
}

// Either of its places will do: of a record sent home, or replayed from the dead letters, also the one where it stood first. Producers are
// trusted with headers as with all else: who forges a place can only have its own sends cancelled, since the record's own place counts too.
function wasThere({ partition, offset, headers }: SendPlace['record'], ends: readonly number[]): boolean {
  const isBelow = (number: number, place: number): boolean => place >= 0 && place < (ends[number] ?? 0)
  if (isBelow(partition, offset)) return true
  const { 'origin-topic': topic, 'origin-partition': origin, 'origin-offset': place } = headers
  return place !== undefined && String(topic) === topics.sends.name && isBelow(Number(String(origin)), Number(String(place)))
}

/** Whether a sequence that this turn starts is born cancelled. */
export const isBornCancelled = (head: Names, place: SendPlace, tombstones: Tombstones): boolean =>
  tombstonesFor(head, tombstones).some((tombstone) => covers(tombstone, place))

/** Whether a sequence that runs is cancelled: whatever ran when the cancel was recorded. `startedAt`: by the database's clock. */
export const isCancelled = (head: Names, startedAt: number, tombstones: Tombstones): boolean =>
  tombstonesFor(head, tombstones).some(({ scope, recordedAt }) => scope !== 'user' || startedAt <= recordedAt)

function tombstonesFor(head: Names, tombstones: Tombstones): readonly Tombstone[] {
  if (tombstones.size === 0) return []
  return targetsOf(head).flatMap((target) => tombstones.get(targetKey(target)) ?? [])
}
