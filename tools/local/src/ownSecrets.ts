// Who is told which secret: a service that needs it, and nobody else.
import { serviceKinds } from './services'

const sandbox = 'provider-sandbox'
/** The sandbox stands outside the product. */
const services = serviceKinds.map(({ name }) => name).filter((name) => name !== sandbox)
/** Those that open what is sealed at rest: signing keys, provider accounts, tracked links. */
const sealing = ['gateway', 'push-dispatcher', 'sms-dispatcher', 'messenger-dispatcher']

/** Every variable that holds a secret, or names a file with one, and the services that read it. */
export const readersOfSecrets: Readonly<Record<string, readonly string[]>> = {
  STEPCAST_ROOT_KEY: ['gateway'],
  STEPCAST_INTERNAL_SECRET: services,
  STEPCAST_ENCRYPTION_KEY: sealing,
  STEPCAST_ENCRYPTION_KEY_PREVIOUS: sealing,
  DATABASE_URL: services,
  PGPASSWORD: services,
  KAFKA_SASL_PASSWORD: services,
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: services,
  KAFKA_SSL_KEY: services,
  SCHEMA_REGISTRY_AUTH: services,
  SANDBOX_SECRET: [sandbox],
  // Of whoever calls the product: they are in the environment of a shell that has sourced dev.env.
  STEPCAST_API_KEY: [],
  STEPCAST_SIGNING_SECRET: [],
}

/** An environment without the secrets that a service has no need of. */
export function withOwnSecrets(service: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => readersOfSecrets[name]?.includes(service) ?? true))
}
