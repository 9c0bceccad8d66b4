// Topics that somebody else made: what loses records is an error, what only differs a warning, what is ours is neither.
import { allTopics, judgePartitions, judgeSettings, settingsOf, type AnyTopic } from './topicSettings'

const topicOf = (name: string): AnyTopic => allTopics.find((topic) => topic.name === `stepcast.${name}.v1`)!
const judged = (name: string, changes: Readonly<Record<string, string>>, replicas = 1): string[] => {
  const topic = topicOf(name)
  return judgeSettings(topic, `pre.${topic.name}`, { ...settingsOf(topic), 'min.insync.replicas': '1', ...changes }, replicas).map(
    ({ kind, text }) => `${kind}: ${text}`,
  )
}

it.each(allTopics.map((topic) => [topic.name, topic] as const))('%s as we make it is good', (name, topic) => {
  expect(judgeSettings(topic, name, settingsOf(topic), 1)).toEqual([])
})

it('a setting that cannot be read is not judged', () => {
  expect(judgeSettings(topicOf('users'), 'x', {}, 1)).toEqual([])
})

describe('errors', () => {
  it.each([
    ['users', { 'cleanup.policy': 'delete' }, 'topic pre.stepcast.users.v1: cleanup.policy is delete and must be compact'],
    ['templates', { 'cleanup.policy': 'compact,delete' }, 'cleanup.policy is compact,delete and must be compact'],
    ['workspaces', { 'cleanup.policy': 'delete' }, 'must be compact'],
    ['sends', { 'cleanup.policy': 'compact' }, 'cleanup.policy is compact and must be delete'],
    ['sequences', { 'cleanup.policy': 'compact,delete' }, 'must be delete'],
    ['sends', { 'retention.ms': '60000' }, 'topic pre.stepcast.sends.v1: retention.ms is 60000 and must be 604800000 (7 days)'],
    ['sequences', { 'retention.ms': '3600000' }, 'must be 7776000000 (90 days)'],
    ['engagements', { 'retention.bytes': '1048576' }, 'retention.bytes is 1048576 and must be -1'],
    ['commands.sms', { 'max.message.bytes': '1048588' }, 'max.message.bytes is 1048588 and must be 4194304 or more'],
    ['controls', { 'min.insync.replicas': '2' }, 'min.insync.replicas is 2 and must be 1: it has 1 replica, so every write is refused'],
  ])('%s %j', (name, changes, says) => {
    const [first, ...others] = judged(name, changes)
    expect(first).toContain('error: ')
    expect(first).toContain(says)
    expect(others).toEqual([])
  })

  it('min.insync.replicas above the number of replicas', () => {
    expect(judged('sends', { 'min.insync.replicas': '4' }, 3)).toEqual([expect.stringContaining('must be 2: it has 3 replicas')])
  })
})

describe('warnings', () => {
  it.each([
    ['sends', { 'retention.ms': '172800000' }, 'records go sooner'],
    ['sends', { 'retention.ms': '-1' }, 'retention.ms is -1 and should be 604800000 (7 days)'],
    ['sends', { 'retention.bytes': '107374182400' }, 'retention.bytes is 107374182400 and should be -1'],
    ['sends', { 'segment.ms': '604800000' }, 'segment.ms is 604800000 and should be 86400000'],
    ['users', { 'max.compaction.lag.ms': '9223372036854775807' }, 'what was erased stays for good'],
    ['users', { 'min.compaction.lag.ms': '1209600000' }, 'min.compaction.lag.ms is 1209600000 and should be 0'],
    ['users', { 'delete.retention.ms': '86400000' }, 'never hears of an erasure'],
    ['commands.push', { 'compression.type': 'snappy' }, 'compression.type is snappy and should be producer'],
  ])('%s %j', (name, changes, says) => {
    const [first, ...others] = judged(name, changes)
    expect(first).toContain('warning: ')
    expect(first).toContain(says)
    expect(others).toEqual([])
  })

  it('three replicas of which one must be in sync; an unclean election', () => {
    expect(judged('sends', {}, 3)).toEqual([
      expect.stringContaining('warning: topic pre.stepcast.sends.v1: min.insync.replicas is 1 and should be 2'),
    ])
    expect(judged('sends', { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'true' }, 3)).toEqual([
      expect.stringContaining('unclean.leader.election.enable'),
    ])
  })
})

it('larger messages are none of our business', () => expect(judged('sends', { 'max.message.bytes': '10485760' })).toEqual([]))

it('another number of partitions names topic, both numbers and the variable', () => {
  expect(judgePartitions(topicOf('sends'), 'x', 12, 12)).toBeNull()
  expect(judgePartitions(topicOf('templates'), 'x', 1, 12)).toBeNull()
  expect(judgePartitions(topicOf('sends'), 'x', 6, 12)?.text).toMatch(
    /topic x has 6 partitions, this installation 12: .* Set STEPCAST_PARTITIONS/,
  )
  expect(judgePartitions(topicOf('templates'), 'x', 12, 12)?.text).toMatch(/has 12 partitions, this installation 1/)
})
