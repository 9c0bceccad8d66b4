// Loads the Kafka client's request formats at once. It loads each when first used, and Jest refuses to load anything between two
// tests, where a consumer in the background is busy too: it would crash for good.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Call it before the first connection of a spec file. */
export function loadProtocol(): void {
  const formats = join(dirname(require.resolve('kafkajs')), 'src', 'protocol', 'requests')
  for (const file of readdirSync(formats, { recursive: true, encoding: 'utf8' })) {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- by the hundred
    if (/(?<!\.spec)\.js$/.test(file)) require(join(formats, file))
  }
}
