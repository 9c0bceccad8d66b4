// The file `dev.env`: everything a person or a script needs to talk to the local system, for `source`.

/** One variable of `dev.env` a line, in the contract's order. */
export interface DevEnv {
  readonly STEPCAST_URL: string
  readonly STEPCAST_GRPC: string
  readonly STEPCAST_SANDBOX_URL: string
  readonly STEPCAST_ROOT_KEY: string
  readonly STEPCAST_WORKSPACE_ID?: string
  readonly STEPCAST_API_KEY?: string
  readonly STEPCAST_SIGNING_KID?: string
  readonly STEPCAST_SIGNING_SECRET?: string
  readonly KAFKA_BROKERS: string
  readonly SCHEMA_REGISTRY_URL: string
  readonly DATABASE_URL: string
}

const order: readonly (keyof DevEnv)[] = [
  'STEPCAST_URL',
  'STEPCAST_GRPC',
  'STEPCAST_SANDBOX_URL',
  'STEPCAST_ROOT_KEY',
  'STEPCAST_WORKSPACE_ID',
  'STEPCAST_API_KEY',
  'STEPCAST_SIGNING_KID',
  'STEPCAST_SIGNING_SECRET',
  'KAFKA_BROKERS',
  'SCHEMA_REGISTRY_URL',
  'DATABASE_URL',
]

/**
 * Writes the variables as `NAME=value` lines, which a shell, Docker and dotenv readers all understand: no `export`, and
 * quotes only around a value that a shell would take apart.
 *
 * @param more how clients sign in to servers of the user's (KAFKA_SASL_MECHANISM …), and the prefix of the topics, where one is set
 */
export function devEnvText(variables: Partial<DevEnv>, more: Readonly<Record<string, string>> = {}): string {
  return [...order.map((name) => [name, variables[name]] as const), ...Object.entries(more).sort()]
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}\n`]))
    .join('')
}

function quoted(value: string): string {
  return /^[\w@%+=:,./~-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}

/** Reads what {@link devEnvText} wrote. */
export function parseDevEnv(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
      if (name === undefined || value === undefined) return []
      return [[name, value.startsWith("'") ? value.slice(1, -1).replaceAll(`'\\''`, "'") : value]]
    }),
  )
}
