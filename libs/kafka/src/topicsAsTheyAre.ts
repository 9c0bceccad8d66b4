// Our topics as they are on a cluster: partitions, replicas and settings, held against what they must be.
import { ConfigResourceTypes, type Admin, type ITopicMetadata } from 'kafkajs'
import type { Finding } from '@stepcast/contracts'
import { allTopics, judgePartitions, judgeSettings } from './topicSettings'

/** Settings of topics by their names on the broker; null where we may not read them (DescribeConfigs). */
export type TopicSettings = ReadonlyMap<string, Readonly<Record<string, string>>> | null

/** Reads the settings of topics that exist. */
export async function describeTopics(admin: Admin, names: readonly string[]): Promise<TopicSettings> {
  if (names.length === 0) return new Map()
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
    })
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    )
  } catch (error) {
    if (/AUTHORIZATION/.test((error as { type?: string }).type ?? '')) return null
    throw error
  }
}

/** Judges every topic of ours among those that were found. */
export function judgeTopics(
  connection: { physical(name: string): string },
  found: readonly ITopicMetadata[],
  settings: TopicSettings,
  partitions: number,
): Finding[] {
  const findings = allTopics.flatMap((topic): Finding[] => {
    const name = connection.physical(topic.name)
    const metadata = found.find((one) => one.name === name)
    if (metadata === undefined) return []
    const replicas = Math.min(...metadata.partitions.map((partition) => partition.replicas.length))
    const ofPartitions = judgePartitions(topic, name, metadata.partitions.length, partitions)
    return [...(ofPartitions ? [ofPartitions] : []), ...judgeSettings(topic, name, settings?.get(name) ?? {}, replicas)]
  })
  if (settings !== null || found.length === 0) return findings
  return [
    ...findings,
    { kind: 'warning', text: 'the settings of the topics cannot be read, for want of DescribeConfigs: compare them with docs/topics.md' },
  ]
}
