// How to reach Kafka and the schema registry with the variables of dev.env: addresses, TLS, sign-in, the prefix of topics.
import { readFileSync } from 'node:fs'

/** Options of kafkajs. */
export function kafkaOf(env) {
  const { KAFKA_BROKERS = 'localhost:9092', KAFKA_SSL, KAFKA_SSL_CA: ca, KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key } = env
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = env
  const files = { ...(ca && { ca: readFileSync(ca) }), ...(cert && key && { cert: readFileSync(cert), key: readFileSync(key) }) }
  const ssl = Object.keys(files).length > 0 ? files : KAFKA_SSL === 'true'
  if (mechanism?.toLowerCase() === 'oauthbearer')
    throw new Error('KAFKA_SASL_MECHANISM=oauthbearer: this program signs in by plain or scram only.')
  return { brokers: KAFKA_BROKERS.split(','), ssl, ...(mechanism && { sasl: { mechanism: mechanism.toLowerCase(), username, password } }) }
}

/** Options of the registry's client. */
export function registryOf({ SCHEMA_REGISTRY_URL: host = 'http://localhost:8085/apis/ccompat/v7', SCHEMA_REGISTRY_AUTH: auth = '' }) {
  const [username, ...password] = auth.split(':')
  return { host, ...(auth && { auth: { username, password: password.join(':') } }) }
}

/** The name of a topic on the broker. */
export const physical = (topic) => (process.env.STEPCAST_TOPIC_PREFIX ?? '') + topic
