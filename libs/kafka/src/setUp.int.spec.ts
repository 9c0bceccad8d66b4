import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigResourceTypes } from 'kafkajs'
import { subjectOf, topics } from '@stepcast/contracts'
import { specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { kafkaConfigFromEnv, setUpCluster } from './index'

/** A registry with Confluent's API, as far as a set-up asks; it starts without schemas. */
class EmptyRegistry {
  readonly registered: string[] = []
  private readonly server: Server

  private constructor() {
    this.server = createServer((request, response) => void this.answer(request, response))
  }

  static async start(): Promise<EmptyRegistry> {
    const registry = new EmptyRegistry()
    await new Promise<void>((resolve) => registry.server.listen(0, '127.0.0.1', resolve))
    return registry
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.server.close()
    this.server.closeAllConnections()
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, kind, subject, versions] = request.url!.split('/')
    const registers = request.method === 'POST' && versions === 'versions'
    // The first takes longest: what is registered at the same time would overtake it.
    if (registers) await new Promise((resolve) => setTimeout(resolve, Math.max(0, 100 - 20 * this.registered.length)))
    if (registers) this.registered.push(subject!)
    const answer = registers
      ? { id: this.registered.length }
      : kind === 'subjects'
        ? [...this.registered]
        : { compatibilityLevel: 'BACKWARD', compatibility: 'BACKWARD' }
    response.writeHead(200, { 'content-type': 'application/vnd.schemaregistry.v1+json' }).end(JSON.stringify(answer))
  }
}

let stack: SpecStack
let registry: EmptyRegistry
beforeAll(async () => {
  stack = await specStack(__filename)
  registry = await EmptyRegistry.start()
})
afterAll(async () => {
  registry.stop()
  await stack.stop()
})

const setUp = async (of: EmptyRegistry): Promise<string[]> => {
  const lines: string[] = []
  await setUpCluster({
    kafka: kafkaConfigFromEnv(stack.env, 'spec'),
    registry: { url: of.url, auth: null },
    partitions: specPartitions,
    replicationFactor: 1,
    onProgress: (line) => lines.push(line),
  })
  return lines
}

it('topics are made to keep what producers compressed as it is, whatever the broker is set to', async () => {
  const connection = stack.connection()
  const { resources } = await (await connection.admin()).describeConfigs({
    includeSynonyms: false,
    resources: Object.values(topics).map(({ name }) => ({
      type: ConfigResourceTypes.TOPIC,
      name: connection.physical(name),
      configNames: ['compression.type'],
    })),
  })
  // Set on the topic itself (1), not taken from the broker.
  expect(
    resources.flatMap(({ configEntries }) => configEntries.map(({ configValue, configSource }) => [configValue, Number(configSource)])),
  ).toEqual(Object.values(topics).map(() => ['producer', 1]))
})

it('a new registry gets the schemas in the order of the topics, each time the same; nothing is said while the topics are empty', async () => {
  expect(await setUp(registry)).toEqual(['registered the schemas'])
  expect(registry.registered).toEqual(Object.values(topics).map(({ name }) => subjectOf(name)))
})

it('a registry without our schemas beside topics with records: set-up says so, and what to do', async () => {
  await (await stack.connection().producer()).sendRaw(topics.controls.name, [{ key: 'k', value: Buffer.from('v') }])
  const lost = await EmptyRegistry.start()
  const [warning] = await setUp(lost)
  lost.stop()
  expect(warning).toMatch(
    /^WARNING: the schema registry holds none of our schemas, but these topics hold records: stepcast\.controls\.v1\..*Restart every service/,
  )
  expect((await setUp(registry)).filter((line) => line.startsWith('WARNING'))).toEqual([])
})
