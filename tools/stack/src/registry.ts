// The local schema registry: Apicurio, which speaks the Confluent API at `/apis/ccompat/v7`.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { javaCommand, javaEnvironment } from './java'
import type { Jars } from './jars'
import { loopback } from './ports'
import { Program } from './program'
import { until } from './wait'

const jvmFlags = [
  '-Xms64m',
  '-Xmx256m',
  '-Xss512k',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Djava.awt.headless=true',
]

const databaseConnections = 2

/** The path of the Confluent-compatible API: what `SCHEMA_REGISTRY_URL` ends with. */
export const confluentApi = '/apis/ccompat/v7'

/** Where the registry keeps schemas and their ids. Both survive a restart and a kill. */
export type RegistryStorage =
  | { readonly kind: 'postgres'; readonly port: number; readonly database: string; readonly user: string; readonly password: string }
  /** A file in the data directory, for a system that uses a PostgreSQL of the user's: that one is not ours to fill. */
  | { readonly kind: 'file' }

/** Returns the registry's program, not yet started. */
export function prepareRegistry(home: string, port: number, jars: Jars, storage: RegistryStorage): Program {
  const directory = join(home, 'registry')
  mkdirSync(directory, { recursive: true })
  return new Program({
    name: 'registry',
    home,
    command: javaCommand(process.env),
    args: [...jvmFlags, '-jar', jars.registryJar],
    cwd: directory,
    // By environment and not by argument: arguments of a process, and so a password among them, can be read by everyone.
    env: {
      ...javaEnvironment(process.env),
      QUARKUS_HTTP_HOST: loopback,
      QUARKUS_HTTP_PORT: String(port),
      QUARKUS_LOG_LEVEL: 'WARN',
      APICURIO_LOG_LEVEL: 'WARN',
      QUARKUS_HTTP_ACCESS_LOG_ENABLED: 'false',
      QUARKUS_BANNER_ENABLED: 'false',
      ...storageSettings(storage, directory),
    },
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    isReady: () => listsSubjects(port),
    readyEveryMs: 100,
    readyTimeoutMs: 120_000,
  })
}

/**
 * Makes the registry notice that its database was restarted. It tests no connection before use, so each of those it had
 * fails one request, which would be a service's: here a few of our own find them.
 */
export async function refreshRegistry(port: number): Promise<void> {
  await until(async () => (await Promise.all(Array.from({ length: databaseConnections }, () => listsSubjects(port)))).every(Boolean), {
    everyMs: 50,
    timeoutMs: 5_000,
  })
}

async function listsSubjects(port: number): Promise<boolean> {
  const answer = await fetch(`http://${loopback}:${port}${confluentApi}/subjects`, { signal: AbortSignal.timeout(2_000) })
  return answer.ok
}

function storageSettings(storage: RegistryStorage, directory: string): NodeJS.ProcessEnv {
  switch (storage.kind) {
    case 'postgres':
      return {
        APICURIO_STORAGE_KIND: 'sql',
        APICURIO_STORAGE_SQL_KIND: 'postgresql',
        APICURIO_DATASOURCE_URL: `jdbc:postgresql://${loopback}:${storage.port}/${storage.database}`,
        APICURIO_DATASOURCE_USERNAME: storage.user,
        APICURIO_DATASOURCE_PASSWORD: storage.password,
        // Schemas are read once by every service: few connections do.
        APICURIO_DATASOURCE_JDBC_INITIAL_SIZE: '1',
        APICURIO_DATASOURCE_JDBC_MIN_SIZE: '1',
        APICURIO_DATASOURCE_JDBC_MAX_SIZE: String(databaseConnections),
      }
    case 'file':
      return {
        APICURIO_STORAGE_KIND: 'sql',
        APICURIO_STORAGE_SQL_KIND: 'h2',
        APICURIO_DATASOURCE_URL: `jdbc:h2:file:${join(directory, 'schemas')};DB_CLOSE_ON_EXIT=FALSE;AUTO_RECONNECT=TRUE`,
      }
  }
}
