// Starts the real broker, registry and database once for all integration specs, on ports and data of their own.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@stepcast/contracts'
import { Registry } from '@stepcast/kafka'
import { startStack, type Stack } from '@stepcast/stack'

declare global {
  // Kept from set-up to teardown; Jest runs both in one process.
  var stepcastSpecStack: { stack: Stack; home: string } | undefined
}

/** Jest's globalSetup. */
export default async function globalSetup(): Promise<void> {
  // A stack that runs already (`SPEC_…` of another run) is used and left alone: one spec then starts at once.
  if (process.env.SPEC_KAFKA_BROKERS && process.env.SPEC_SCHEMA_REGISTRY_URL && process.env.SPEC_DATABASE_URL) return
  const home = mkdtempSync(join(tmpdir(), 'stepcast-specs-'))
  const stack = await startStack({ home, onProgress: (line) => process.stdout.write(`${line}\n`) })
  globalThis.stepcastSpecStack = { stack, home }
  // Once, before several spec files do it at the same time.
  const registry = new Registry({ url: stack.registryUrl, auth: null })
  for (const topic of Object.values(topics)) await registry.register(topic)
  // Workers inherit the environment.
  process.env.SPEC_KAFKA_BROKERS = stack.kafkaBrokers
  process.env.SPEC_SCHEMA_REGISTRY_URL = stack.registryUrl
  process.env.SPEC_DATABASE_URL = stack.databaseUrl
}
