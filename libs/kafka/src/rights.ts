// Which rights we have on topics and groups, as the brokers tell them (KIP-430). Nothing is read, written or made for it.
import { AclOperationTypes } from 'kafkajs'
import type { Finding } from '@stepcast/contracts'
import type { KafkaConfig } from './config'
/* eslint-disable @typescript-eslint/no-require-imports */
const Encoder = require('kafkajs/src/protocol/encoder') as new () => Encoding
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => Decoding
/* eslint-enable @typescript-eslint/no-require-imports */

interface Encoding {
  writeBoolean(value: boolean): Encoding
  writeArray(values: readonly string[]): Encoding
}

interface Decoding {
  readInt16(): number
  readInt32(): number
  readBoolean(): boolean
  readString(): string | null
  readBytes(): Buffer | null
  readArray<Item>(read: (from: Decoding) => Item): Item[]
}

/** A broker of the client, as far as it is used here. */
export interface ClientBroker {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>>
  readonly connectionPool: { send<Answer>(call: Call<Answer>): Promise<Answer> }
}

interface Call<Answer> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    readonly encode: () => Promise<Encoding>
  }
  readonly response: { readonly decode: (bytes: Buffer) => Promise<Answer>; readonly parse: (answer: Answer) => Promise<Answer> }
}

/** What services need of topics and groups; Kafka names rights so. */
export type Right = 'Read' | 'Write'

/** A right that is missing, and on what. */
export interface MissingRight {
  readonly right: Right
  readonly on: 'topic' | 'group'
  readonly name: string
}

// A set of rights is a number with these bits.
const bitOf: Readonly<Record<Right, number>> = { Read: 1 << AclOperationTypes.READ, Write: 1 << AclOperationTypes.WRITE }
/** The broker does not say. */
const notTold = -(2 ** 31)
const groupAuthorizationFailed = 30
const metadata = { key: 3, version: 8 }
const describeGroups = { key: 15, version: 3 }

const services = [
  'gateway',
  'template-svc',
  'people-svc',
  'send-svc',
  'orchestrator',
  'inapp-dispatcher',
  'push-dispatcher',
  'sms-dispatcher',
  'messenger-dispatcher',
  'metrics-svc',
]
/** The groups by which services read, without the prefix: a group for each that works off a topic, and one of those in which every process follows `stepcast.workspaces.v1`. */
const groupsOfServices: readonly string[] = [
  'orchestrator',
  'orchestrator.controls',
  'inapp-dispatcher',
  'push-dispatcher',
  'sms-dispatcher',
  'messenger-dispatcher',
  'metrics-svc',
  ...services.map((service) => `${service}.replica.stepcast.workspaces.v1.pre-flight`),
]

/** Whoever asks the brokers. */
export interface AsksRights {
  missingRights(topics: readonly string[], groups: readonly string[]): Promise<MissingRight[]>
}

/**
 * What our services need and may not do, a sentence for each right.
 * @param existing those of our topics that exist, by their names on the broker: of others brokers do not tell
 * @param servicesRunAsUs whether it is an error, since services run as this user, or a warning
 */
export async function rightsProblems(
  asks: AsksRights,
  kafka: KafkaConfig,
  existing: readonly string[],
  servicesRunAsUs: boolean,
): Promise<Finding[]> {
  const missing = await asks.missingRights(
    existing,
    groupsOfServices.map((group) => kafka.topicPrefix + group),
  )
  const finding = (right: Right, on: MissingRight['on'], what: string): Finding[] => {
    const names = missing
      .filter((one) => one.right === right && one.on === on)
      .map(({ name }) => name.replace(/\.pre-flight$/, '.*'))
      .sort()
    if (names.length === 0) return []
    const text = `KAFKA_SASL_USERNAME: ${userOf(kafka)} may not ${what} ${names.join(', ')}: services that run so need ${right}, as docs/topics.md says`
    return [{ kind: servicesRunAsUs ? 'error' : 'warning', text }]
  }
  return [
    ...finding('Read', 'topic', 'read'),
    ...finding('Write', 'topic', 'write to'),
    ...finding('Read', 'group', 'read in the consumer groups'),
  ]
}

/** How a sentence names whoever we are to Kafka. */
export function userOf({ sasl, ssl }: KafkaConfig): string {
  if (sasl !== null && 'username' in sasl) return `the user ${sasl.username}`
  return sasl === null && (typeof ssl === 'boolean' || ssl.cert === undefined) ? 'a client without a sign-in' : 'this user'
}

/** Of topics that exist and are seen, those that may not be read or written; none where brokers are too old to tell (before Kafka 2.3). */
export async function missingOnTopics(broker: ClientBroker, names: readonly string[]): Promise<MissingRight[]> {
  if (names.length === 0 || !knows(broker, metadata)) return []
  const topics = await call(
    broker,
    metadata,
    'Metadata',
    new Encoder().writeArray(names).writeBoolean(false).writeBoolean(false).writeBoolean(true),
    topicsOf,
  )
  return topics.flatMap(({ error, name, operations }) =>
    error !== 0 || operations === notTold
      ? []
      : (['Read', 'Write'] as const)
          .filter((right) => (operations & bitOf[right]) === 0)
          .map((right): MissingRight => ({ right, on: 'topic', name })),
  )
}

/** Of groups, whether there are any or not, those that this user may not read by; each of the brokers is asked, since only its coordinator knows a group. */
export async function missingOnGroups(brokers: readonly ClientBroker[], names: readonly string[]): Promise<MissingRight[]> {
  const missing = new Set<string>()
  for (const broker of brokers) {
    if (!knows(broker, describeGroups)) continue
    const groups = await call(broker, describeGroups, 'DescribeGroups', new Encoder().writeArray(names).writeBoolean(true), groupsOf)
    for (const { error, name, operations } of groups) {
      if (error === groupAuthorizationFailed || (error === 0 && operations !== notTold && (operations & bitOf.Read) === 0))
        missing.add(name)
    }
  }
  return [...missing].map((name) => ({ right: 'Read', on: 'group', name }))
}

const knows = ({ versions }: ClientBroker, { key, version }: typeof metadata): boolean => (versions[key]?.maxVersion ?? 0) >= version

function call<Answer>(
  { connectionPool }: ClientBroker,
  { key, version }: typeof metadata,
  apiName: string,
  fields: Encoding,
  read: (from: Decoding) => Answer,
): Promise<Answer> {
  return connectionPool.send({
    request: { apiKey: key, apiVersion: version, apiName, encode: async () => fields },
    response: { decode: async (bytes) => read(new Decoder(bytes)), parse: async (answer) => answer },
  })
}

interface Told {
  readonly error: number
  readonly name: string
  readonly operations: number
}

/** https://kafka.apache.org/protocol.html#The_Messages_Metadata, version 8. */
function topicsOf(from: Decoding): Told[] {
  const numbers = (): number[] => from.readArray((item) => item.readInt32())
  from.readInt32()
  from.readArray((broker) => [broker.readInt32(), broker.readString(), broker.readInt32(), broker.readString()])
  from.readString()
  from.readInt32()
  return from.readArray((topic) => {
    const error = topic.readInt16()
    const name = topic.readString() ?? ''
    topic.readBoolean()
    topic.readArray((partition) => [
      partition.readInt16(),
      partition.readInt32(),
      partition.readInt32(),
      partition.readInt32(),
      numbers(),
      numbers(),
      numbers(),
    ])
    return { error, name, operations: topic.readInt32() }
  })
}

/** https://kafka.apache.org/protocol.html#The_Messages_DescribeGroups, version 3. */
function groupsOf(from: Decoding): Told[] {
  from.readInt32()
  return from.readArray((group) => {
    const error = group.readInt16()
    const name = group.readString() ?? ''
    for (let field = 0; field < 3; field++) group.readString()
    group.readArray((member) => [member.readString(), member.readString(), member.readString(), member.readBytes(), member.readBytes()])
    return { error, name, operations: group.readInt32() }
  })
}
