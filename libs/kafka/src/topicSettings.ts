// The settings of our topics: what we make them with, and what becomes of a topic that somebody made otherwise.
import { deadLetterTopic, maxMessageBytes, topics, type Finding, type Topic } from '@stepcast/contracts'
import type { ITopicConfig } from 'kafkajs'

/** A topic of ours, also the one that carries no record of ours. */
export type AnyTopic = Pick<Topic, 'name' | 'key' | 'partitions' | 'cleanup' | 'retentionDays' | 'writers' | 'readers'>

/** All topics, in the order in which they are made. */
export const allTopics: readonly AnyTopic[] = [...Object.values<AnyTopic>(topics), deadLetterTopic]

const dayMs = 24 * 60 * 60 * 1000
/** Days in which a compacted topic forgets what was overwritten or erased, and for which it keeps the tombstone. */
const compactedWithinDays = 7

/**
 * What makes the published retention true. Kafka deletes whole segments: those of a topic kept for 7 days last a day, so that a record
 * lives 8 days at most and not 14. Compaction has no deadline of its own: where little else is written, a person's number would stay for
 * good (rule 22). Tombstones stay a week, so that a reader that was away as long still hears of an erasure.
 */
const retentionSettings = (retentionDays: number | null): Record<string, number> =>
  retentionDays === null
    ? { 'max.compaction.lag.ms': compactedWithinDays * dayMs, 'delete.retention.ms': compactedWithinDays * dayMs }
    : { 'retention.ms': retentionDays * dayMs, 'segment.ms': Math.min(7, retentionDays / 7) * dayMs }

/** What a topic is made with, by Kafka's names. */
export const settingsOf = ({ cleanup, retentionDays }: Pick<AnyTopic, 'cleanup' | 'retentionDays'>): Readonly<Record<string, string>> => ({
  'cleanup.policy': cleanup,
  ...Object.fromEntries(Object.entries(retentionSettings(retentionDays)).map(([name, value]) => [name, String(value)])),
  'max.message.bytes': String(maxMessageBytes),
  // As the producer wrote it, whatever the broker's own setting: a broker that compresses anew pays for it with each batch.
  'compression.type': 'producer',
})

/** What Kafka is asked for to make a topic. */
export function topicConfig(topic: AnyTopic, name: string, partitions: number, replicationFactor: number): ITopicConfig {
  const settings = { ...settingsOf(topic), ...(replicationFactor >= 3 && { 'min.insync.replicas': '2' }) }
  return {
    topic: name,
    numPartitions: topic.partitions === 'home' ? partitions : 1,
    replicationFactor,
    configEntries: Object.entries(settings).map(([key, value]) => ({ name: key, value })),
  }
}

// An outage of a day is worked off afterwards; what is kept for less is lost in one.
const shortestRetentionMs = dayMs
const smallestRetentionBytes = 1024 ** 3

/**
 * Judges a topic as it is: an error where records would be lost or refused, a warning where they live longer than promised or cost more than
 * they must. Each names topic, setting, value and what it must be.
 *
 * @param name the topic on the broker
 * @param is its settings by Kafka's names; one that is missing is not judged
 * @param replicas of its partition with the fewest
 */
export function judgeSettings(topic: AnyTopic, name: string, is: Readonly<Record<string, string>>, replicas: number): Finding[] {
  const findings: Finding[] = []
  const must = settingsOf(topic)
  const say = (kind: Finding['kind'], setting: string, wanted: string, why: string): void => {
    findings.push({
      kind,
      text: `topic ${name}: ${setting} is ${is[setting]} and ${kind === 'error' ? 'must' : 'should'} be ${wanted}: ${why}`,
    })
  }
  const number = (setting: string): number | null => (is[setting] === undefined ? null : Number(is[setting]))
  // Milliseconds and bytes: -1 has no end.
  const bounded = (setting: string): number | null => {
    const value = number(setting)
    return value === null ? null : value < 0 ? Infinity : value
  }

  const policies = is['cleanup.policy']?.split(',').map((policy) => policy.trim())
  if (policies !== undefined && (policies.length !== 1 || policies[0] !== topic.cleanup)) {
    say(
      'error',
      'cleanup.policy',
      topic.cleanup,
      topic.cleanup === 'compact'
        ? 'what is deleted by age is never learned by a reader that comes later'
        : 'compaction drops records that are not worked off yet',
    )
  }
  if (topic.cleanup === 'delete') {
    const retention = bounded('retention.ms')
    const wanted = Number(must['retention.ms'])
    const shown = `${wanted} (${topic.retentionDays} days)`
    if (retention !== null && retention < shortestRetentionMs)
      say('error', 'retention.ms', shown, 'records are lost in an outage of that length')
    else if (retention !== null && retention < wanted) say('warning', 'retention.ms', shown, 'records go sooner than the documents say')
    else if (retention !== null && retention > wanted)
      say('warning', 'retention.ms', shown, "people's data stay longer than the documents say")
    const bytes = bounded('retention.bytes')
    if (bytes !== null && bytes < smallestRetentionBytes)
      say('error', 'retention.bytes', '-1', 'records are lost when a partition is larger than that')
    else if (bytes !== null && bytes !== Infinity)
      say('warning', 'retention.bytes', '-1', 'records go before their time when a partition is larger than that')
    const segment = number('segment.ms')
    if (segment !== null && segment > Number(must['segment.ms']))
      say('warning', 'segment.ms', must['segment.ms']!, 'a segment is deleted as a whole, so records stay longer')
  } else {
    const lag = number('max.compaction.lag.ms')
    if (lag !== null && lag > Number(must['max.compaction.lag.ms']))
      say('warning', 'max.compaction.lag.ms', must['max.compaction.lag.ms']!, 'what was erased stays for good where little is written')
    const least = number('min.compaction.lag.ms')
    if (least !== null && least > compactedWithinDays * dayMs)
      say('warning', 'min.compaction.lag.ms', '0', 'what was erased stays that long')
    const tombstones = number('delete.retention.ms')
    if (tombstones !== null && tombstones < Number(must['delete.retention.ms']))
      say('warning', 'delete.retention.ms', must['delete.retention.ms']!, 'a reader that was away for longer never hears of an erasure')
  }
  const largest = number('max.message.bytes')
  if (largest !== null && largest < maxMessageBytes)
    say('error', 'max.message.bytes', `${maxMessageBytes} or more`, 'larger batches of ours are refused')
  if (is['compression.type'] !== undefined && is['compression.type'] !== 'producer')
    say('warning', 'compression.type', 'producer', 'the broker compresses every batch anew')
  const inSync = number('min.insync.replicas')
  if (inSync !== null && inSync > replicas)
    say(
      'error',
      'min.insync.replicas',
      `${Math.max(1, replicas - 1)}`,
      `it has ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}, so every write is refused`,
    )
  else if (inSync !== null && replicas >= 3 && inSync < 2)
    say('warning', 'min.insync.replicas', '2', 'what one broker has acknowledged is lost with it')
  if (replicas > 1 && is['unclean.leader.election.enable'] === 'true')
    say('warning', 'unclean.leader.election.enable', 'false', 'acknowledged records are lost when a broker that is behind takes over')
  return findings
}

/** A topic with a number of partitions that this installation has not; null: it has them. */
export function judgePartitions(topic: AnyTopic, name: string, has: number, partitions: number): Finding | null {
  const expected = topic.partitions === 'home' ? partitions : 1
  if (has === expected) return null
  return {
    kind: 'error',
    text:
      `topic ${name} has ${has} partitions, this installation ${expected}: the number is fixed at install. ` +
      `Set STEPCAST_PARTITIONS to what the topics have, or use another cluster`,
  }
}
