// docs/topics.md, made from the topic registry: what whoever runs the cluster must make, and the rights our users need.
import { allTopics, settingsOf, type AnyTopic } from './topicSettings'

const partitionsOf = ({ partitions }: AnyTopic): string => (partitions === 'home' ? 'P' : '1')
const days = ({ retentionDays, cleanup }: AnyTopic): string => (retentionDays === null ? cleanup : `${retentionDays} days`)

const row = (topic: AnyTopic): string =>
  `| \`${topic.name}\` | ${partitionsOf(topic)} | ${days(topic)} | ${topic.key} | ${topic.writers.join(', ')} | ${topic.readers.join(', ')} |`

const create = (topic: AnyTopic): string =>
  [
    `kafka-topics.sh $TO --create --topic "\${PREFIX}${topic.name}" --partitions ${topic.partitions === 'home' ? '$P' : '1'} --replication-factor $R`,
    ...Object.entries(settingsOf(topic)).map(([name, value]) => `  --config ${name}=${value}`),
    '  --config min.insync.replicas=$MIN',
  ].join(' \\\n')

/** The page as it must stand. */
export const topicsPage = (): string => `# Topics

Made from the topic registry (\`libs/contracts/src/topics.ts\`): a spec compares them. \`npm start\` and \`npm run set-up\` make what is missing, where they may, and look at what is there:
other partitions, another \`cleanup.policy\`, a retention under a day, a small \`retention.bytes\` or \`max.message.bytes\` and a \`min.insync.replicas\` that the replicas cannot meet keep
Stepcast from starting; every other difference is a warning. Each names topic, setting, value and what it must be.

P is \`STEPCAST_PARTITIONS\`: 12 unless set, the same for all of them, fixed at the first start. \`STEPCAST_TOPIC_PREFIX\` is put before the name of every topic **and consumer group**
(\`STEPCAST_TOPIC_PREFIX=acme.\` makes \`acme.${allTopics[0]!.name}\`), the same for every service and producer. Subjects of the schema registry carry no prefix.

| topic | partitions | kept | key | written by | read by |
| --- | --- | --- | --- | --- | --- |
${allTopics.map(row).join('\n')}

## Making them
For clusters where Stepcast may not create topics. \`min.insync.replicas\` is 2 with three replicas, 1 with one.

\`\`\`sh
TO="--bootstrap-server localhost:9092"   # --command-config admin.properties where the cluster wants a sign-in
PREFIX=""; P=12; R=3; MIN=2
${allTopics.map(create).join('\n')}
\`\`\`

The values belong together: Kafka deletes whole segments (\`segment.ms\`), and compaction has no deadline unless told (\`max.compaction.lag.ms\`), so with others people's data stay
longer than the documents say.

## Rights
One user for all services needs, with the topics made beforehand:

\`\`\`sh
kafka-acls.sh $TO --add --allow-principal User:stepcast --topic "\${PREFIX}stepcast." --resource-pattern-type prefixed --operation Read --operation Write --operation Describe --operation DescribeConfigs
kafka-acls.sh $TO --add --allow-principal User:stepcast --group "*" --operation Read
\`\`\`

- Stepcast makes the topics itself: \`--operation Create\` on the same topics, too.
- Without \`DescribeConfigs\` settings are not judged: a warning says so.
- Groups begin with the name of their service and the prefix; with a prefix, \`--group "\${PREFIX}" --resource-pattern-type prefixed\` will do. \`npm run replay-dead-letters\` and \`npm run demo\` read the dead letters in groups \`replay-dead-letters-*\`, which they delete afterwards (\`Delete\`).
- A producer of sends needs \`Write\` and \`Describe\` on \`\${PREFIX}stepcast.sends.v1\` alone. Whoever may write a topic is trusted for every workspace: [who may write where](../ARCHITECTURE.md#who-may-write-where).
- Never set \`allow.everyone.if.no.acl.found=true\`.
`
