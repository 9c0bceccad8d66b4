// The pre-flight: looks at the user's servers before anything is made on them, and tells everything that stands in the way at once.
import { encryptionKeysOf, keysProblem } from '@stepcast/accounts'
import type { Finding } from '@stepcast/contracts'
import { checkKafka, checkRegistry, kafkaConfigFromEnv, registryConfigFromEnv, type KafkaPreflight } from '@stepcast/kafka'
import { checkDatabase, connectTo, databaseIsMissing, placeOf } from '@stepcast/postgres'

/** What is looked at; a server without its option is not. */
export interface PreflightOptions {
  /** Holds the variables of the servers, as the services will have them. */
  readonly env: NodeJS.ProcessEnv
  readonly kafka?: Omit<KafkaPreflight, 'kafka'>
  readonly registry?: boolean
  readonly database?: {
    readonly url: string
    readonly instances?: Readonly<Partial<Record<string, number>>>
    readonly services?: readonly string[]
    /** Where the key was read that is not in the environment, for the sentence about one that does not fit. */
    readonly keyFile?: string
  }
  /** Called with a line for a person. */
  readonly onProgress?: (line: string) => void
}

/** Something stands in the way; one sentence a line, each naming its variable. */
export class PreflightFailed extends Error {}

// Every look has limits of its own, which end sooner; this one is for what they do not foresee.
const atMostMs = 14_000
const sayEveryMs = 1_000

/**
 * Looks at Kafka, registry and database at the same time. Nothing is made, changed or locked.
 * @throws PreflightFailed within 15 s
 */
export async function preflight(options: PreflightOptions): Promise<void> {
  const { env, kafka, registry, database, onProgress = () => undefined } = options
  const looks: { readonly at: string; readonly variable: string; readonly look: () => Promise<Finding[]> }[] = [
    ...(kafka === undefined
      ? []
      : [
          {
            at: `Kafka (${env['KAFKA_BROKERS']})`,
            variable: 'KAFKA_BROKERS',
            look: async () => checkKafka({ kafka: kafkaConfigFromEnv(env, 'stepcast-pre-flight'), ...kafka }),
          },
        ]),
    ...(registry !== true
      ? []
      : [
          {
            at: `the schema registry (${env['SCHEMA_REGISTRY_URL']})`,
            variable: 'SCHEMA_REGISTRY_URL',
            look: async () => checkRegistry(registryConfigFromEnv(env)),
          },
        ]),
    ...(database === undefined
      ? []
      : [
          {
            at: `PostgreSQL (${placeOf(database.url)})`,
            variable: 'DATABASE_URL',
            look: () => lookAtDatabase(env, database),
          },
        ]),
  ]
  if (looks.length === 0) return
  const begin = Date.now()
  const doing = `Looking at ${looks.map(({ at }) => at).join(', ')} …`
  onProgress(`${doing} 0 s`)
  const telling = setInterval(() => onProgress(`${doing} ${Math.round((Date.now() - begin) / 1_000)} s`), sayEveryMs)
  const findings = (await Promise.all(looks.map(({ variable, look }) => inTime(variable, look)))).flat()
  clearInterval(telling)
  for (const { text } of findings.filter(({ kind }) => kind === 'warning')) onProgress(`WARNING: ${text}`)
  const errors = findings.filter(({ kind }) => kind === 'error').map(({ text }) => text)
  if (errors.length > 0)
    throw new PreflightFailed(
      `${errors.map((text) => `${text}.`.replace(/([.!?])\.$/, '$1')).join('\n')}\nNothing was made on these servers.`,
    )
}

async function inTime(variable: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding[]>((resolve) => {
    timer = setTimeout(() => resolve([{ kind: 'error', text: `${variable}: no answer within ${atMostMs / 1_000} s` }]), atMostMs)
  })
  try {
    return await Promise.race([look(), late])
  } catch (error) {
    // A variable that cannot be read: the sentence names it.
    return [{ kind: 'error', text: (error as Error).message }]
  } finally {
    clearTimeout(timer)
  }
}

async function lookAtDatabase(env: NodeJS.ProcessEnv, database: NonNullable<PreflightOptions['database']>): Promise<Finding[]> {
  const { url, instances, services, keyFile } = database
  const findings = await checkDatabase({ databaseUrl: url, env, ...(instances && { instances }), ...(services && { services }) })
  if (findings.some(({ kind }) => kind === 'error') || (await databaseIsMissing(url))) return findings
  const problem = await keyProblem(env, url, keyFile)
  return problem === null ? findings : [...findings, { kind: 'error', text: problem }]
}

/** Whether the keys of this start open what the database holds; null: they do. */
export async function keyProblem(env: NodeJS.ProcessEnv, databaseUrl: string, keyFile: string | undefined): Promise<string | null> {
  const keys = env['STEPCAST_ENCRYPTION_KEY'] || env['STEPCAST_INTERNAL_SECRET'] ? encryptionKeysOf(env) : null
  const file = keys?.variable === 'STEPCAST_ENCRYPTION_KEY' ? 'of the environment' : keyFile
  const client = await connectTo(databaseUrl, 'stepcast pre-flight')
  try {
    return await keysProblem(client, keys, { schema: 'gateway', ...(file && { file }) })
  } finally {
    await client.end().catch(() => undefined)
  }
}
