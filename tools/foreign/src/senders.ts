// The two kinds of producers that most people have: librdkafka's (Python, Go, .NET, C++ …) and Java's.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeRecord, subjectOf, topics, type SendRequested } from '@stepcast/contracts'
import { checkout } from '@stepcast/local'
import { fetchJars, javaCommand } from '@stepcast/stack'
import type { ForeignKafka } from './kafka'
import { run } from './python'

/** How a producer comes in. */
export type WayIn = 'SASL_SSL' | 'mTLS'

/** What they need to know. */
export interface Surroundings {
  readonly kafka: ForeignKafka
  readonly registryUrl: string
  /** For files that only this run has. */
  readonly home: string
  readonly signal: AbortSignal
}

const sources = join(checkout, 'tools', 'foreign', 'src')
const acknowledgedIn = (output: string): number => (JSON.parse(output) as { acknowledged: number }).acknowledged

/** Writes them by librdkafka; answers how many the broker has acknowledged. */
export async function sendByLibrdkafka(
  python: string,
  around: Surroundings,
  way: WayIn,
  compression: 'lz4' | 'zstd',
  sends: readonly SendRequested[],
): Promise<number> {
  const { kafka, registryUrl, signal } = around
  const client = {
    'bootstrap.servers': way === 'mTLS' ? kafka.mutualTls : kafka.sasl,
    'ssl.ca.location': kafka.ca,
    'compression.type': compression,
    ...(way === 'mTLS'
      ? { 'security.protocol': 'ssl', 'ssl.certificate.location': kafka.own.warehouse.cert, 'ssl.key.location': kafka.own.warehouse.key }
      : {
          'security.protocol': 'sasl_ssl',
          'sasl.mechanism': 'SCRAM-SHA-512',
          'sasl.username': 'shop',
          'sasl.password': kafka.passwords.shop,
        }),
  }
  return acknowledgedIn(
    await run(python, [join(sources, 'sends.py')], {
      input: JSON.stringify({ client, registry: registryUrl, topic: topics.sends.name, sends }),
      signal,
    }),
  )
}

/** Likewise by Kafka's own producer; the values are encoded here, under the schema that the registry has for the topic. */
export async function sendByJava(
  around: Surroundings,
  way: WayIn,
  compression: 'snappy' | 'gzip',
  sends: readonly SendRequested[],
): Promise<number> {
  const { kafka, registryUrl, home, signal } = around
  const answer = await fetch(`${registryUrl}/subjects/${subjectOf(topics.sends.name)}/versions/latest`, { signal })
  const { id } = (await answer.json()) as { id: number }
  const { broker: jars } = await fetchJars(() => {}, signal)
  const settings = {
    'bootstrap.servers': way === 'mTLS' ? kafka.mutualTls : kafka.sasl,
    'compression.type': compression,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': kafka.ca,
    ...(way === 'mTLS'
      ? { 'security.protocol': 'SSL', 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': keystoreOf(around) }
      : {
          'security.protocol': 'SASL_SSL',
          'sasl.mechanism': 'SCRAM-SHA-512',
          'sasl.jaas.config': `org.apache.kafka.common.security.scram.ScramLoginModule required username="shop" password="${kafka.passwords.shop}";`,
        }),
  }
  const file = join(home, `java-${way}.properties`)
  writeFileSync(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    { mode: 0o600 },
  )
  const lines = sends.map((send) => `${send.sendId} ${encodeRecord('SendRequested', id, send).toString('base64')}\n`).join('')
  const args = ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), join(sources, 'Sends.java'), file, topics.sends.name]
  return acknowledgedIn(await run(javaCommand(process.env), args, { input: lines, signal }))
}

/** Java wants key and certificates in one file. */
function keystoreOf({ kafka, home }: Surroundings): string {
  const file = join(home, 'warehouse-keystore.pem')
  writeFileSync(file, `${readFileSync(kafka.own.warehouse.key, 'utf8')}\n${readFileSync(kafka.own.warehouse.cert, 'utf8')}`, {
    mode: 0o600,
  })
  return file
}
