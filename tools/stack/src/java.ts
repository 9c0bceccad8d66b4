// Checks the Java and Maven that the local broker and registry need.
import { execFile } from 'node:child_process'

const oldestJava = 17

const wayOut =
  'Install them (Debian and Ubuntu: apt-get install openjdk-17-jre-headless maven; macOS: brew install openjdk@17 maven), ' +
  'or use a broker and a registry of your own: KAFKA_BROKERS=<host:port> SCHEMA_REGISTRY_URL=<url>.'

/** The Java program to call: the one JAVA_HOME names, else the one on the path. */
export function javaCommand(env: NodeJS.ProcessEnv): string {
  return env['JAVA_HOME'] ? `${env['JAVA_HOME']}/bin/java` : 'java'
}

/** The environment of a Java program: without a UTF-8 locale (cron, systemd, `env -i`) Java finds no file whose name has other characters than ASCII. */
export const javaEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ ...env, LC_ALL: 'C.UTF-8' })

/**
 * Reads the major version from what `java -version` prints, also in the form before Java 9 (`1.8.0` is 8).
 *
 * @returns undefined when the text tells no version
 */
export function javaVersion(printed: string): number | undefined {
  const match = /version "(\d+)(?:\.(\d+))?/.exec(printed)
  if (match === null) return undefined
  return match[1] === '1' ? Number(match[2]) : Number(match[1])
}

/** @throws Error saying what is missing and the way out, when there is no Java 17 or newer */
export async function requireJava(env: NodeJS.ProcessEnv): Promise<void> {
  const printed = await outputOf(javaCommand(env), ['-version'])
  if (printed === undefined) {
    throw new Error(`Java is missing: the local broker and schema registry need Java ${oldestJava} or newer. ${wayOut}`)
  }
  const version = javaVersion(printed)
  if (version !== undefined && version < oldestJava) {
    throw new Error(`Java ${version} is too old: the local broker and schema registry need Java ${oldestJava} or newer. ${wayOut}`)
  }
}

/** @throws Error saying what is missing and the way out, when there is no Maven */
export async function requireMaven(): Promise<void> {
  if ((await outputOf('mvn', ['--version'])) === undefined) {
    throw new Error(`Maven (mvn) is missing: it fetches the local broker and schema registry once. ${wayOut}`)
  }
}

/** Both streams of a program's output, undefined when it cannot be run. */
function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: 30_000, env: javaEnvironment(process.env) }, (error, stdout, stderr) =>
      resolve(error === null ? stdout + stderr : undefined),
    )
  })
}
