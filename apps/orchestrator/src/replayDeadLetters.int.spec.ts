// Replaying dead letters on the real broker: what has become good starts, poison comes back, and nothing is replayed twice.
import { randomBytes } from 'node:crypto'
import { sequenceIdOf, templateVersionKey, topics, type SendRequested, type TemplateChanged } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import { eventually, readDeadLetters, specStack, watchTopic, type SpecStack, type WatchedTopic } from '@stepcast/testing'
import { replayArguments } from '../../../tools/local/src/replayArguments'
import { replayDeadLetters } from '../../../tools/local/src/replayCommand'
import { AppModule } from './app.module'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let commands: WatchedTopic<'DispatchStep'>

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  commands = await watchTopic(connection, topics.inAppCommands)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
})
afterAll(async () => {
  await service.stop()
  await stack.stop()
})

async function command(...args: string[]): Promise<string> {
  const lines: string[] = []
  await replayDeadLetters(replayArguments(args), stack.env, (line) => lines.push(line))
  return lines.join('\n')
}

const sendTo = (userId: string, workspaceId = 'w'): SendRequested => ({
  workspaceId,
  sendId: 's',
  userId,
  templateId: 'later',
  templateVersion: null,
  campaignId: null,
  variables: {},
  tag: null,
  source: null,
  requestedAt: Date.now(),
})

async function approve(): Promise<void> {
  const value: TemplateChanged = {
    workspaceId: 'w',
    templateId: 'later',
    changedAt: Date.now(),
    change: {
      type: 'TemplateApproved',
      version: 1,
      name: 'later',
      category: 'Custom',
      variableSchema: '[]',
      channels: JSON.stringify([{ channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } }]),
      config: JSON.stringify({ sequenceEnabled: false }),
    },
  }
  await (await connection.producer()).send(topics.templates, [{ key: templateVersionKey('w', 'later', 1), value }])
}

const letters = async (reason: string): Promise<number> =>
  (await readDeadLetters(connection)).filter(({ headers }) => headers.reason === reason).length
const sendsOnTopic = async (): Promise<number> =>
  [...(await connection.endOffsets(topics.sends.name)).values()].reduce((sum, end) => sum + end, 0)

it('a send put aside for want of its template starts when it is replayed with the template there; poison comes back; nothing twice', async () => {
  const producer = await connection.producer()
  await producer.send(
    topics.sends,
    ['ada', 'grace'].map((userId) => ({ key: `${userId} of the outside`, value: sendTo(userId), headers: { 'x-campaign': 'spring' } })),
  )
  await producer.send(topics.sends, [{ key: 'elsewhere', value: sendTo('ada', 'other') }])
  await producer.sendRaw(topics.sends.name, [{ key: null, value: randomBytes(64) }])
  await eventually(
    async () => (await letters('unknown_template')) === 3 && (await letters('not_avro')) + (await letters('unknown_schema')) === 1,
  )

  // Listing changes nothing, and shows no key that an outsider chose.
  const before = await sendsOnTopic()
  const listed = await command()
  expect(listed).toContain('unknown_template')
  expect(listed).toContain('4 records match: 4 to be replayed')
  expect(listed).not.toContain('of the outside')
  expect(await sendsOnTopic()).toBe(before)

  // Filters: by reason, topic, workspace and time.
  expect(await command('--reason', 'unknown_template')).toContain('3 records match')
  expect(await command('--reason', 'unknown_template', '--workspace', 'other')).toContain('1 records match')
  expect(await command('--topic', topics.engagements.name)).toContain('0 records match')
  expect(await command('--until', '1d')).toContain('0 records match')
  expect(await command('--limit', '2')).toContain('2 records match, and more beyond the limit of 2')

  await approve()
  expect(await command('--reason', 'unknown_template', '--workspace', 'w', '--confirm')).toContain('Replayed 2 records.')
  for (const userId of ['ada', 'grace']) {
    await eventually(() => commands.values().some(({ sequenceId }) => sequenceId === sequenceIdOf('w', 's', userId)))
  }

  // Again: nothing of these two, until it is asked for; the engine knows them then.
  const after = await sendsOnTopic()
  expect(await command('--reason', 'unknown_template', '--workspace', 'w', '--confirm')).toContain(
    '2 records match: 0 to be replayed, 2 replayed before',
  )
  expect(await sendsOnTopic()).toBe(after)
  expect(await command('--reason', 'unknown_template', '--workspace', 'w', '--confirm', '--again')).toContain('Replayed 2 records.')
  await eventually(async () => (await sendsOnTopic()) > after)

  // Poison comes back as a letter that names the producer's own record, and may be replayed once more: it is a new letter.
  const [poison] = (await readDeadLetters(connection)).filter(({ key }) => key === null)
  expect(await command('--reason', poison!.headers.reason!, '--confirm')).toContain('Replayed 1 records.')
  const returned = await eventually(
    async () => (await readDeadLetters(connection)).filter(({ key, headers }) => key === null && headers['replayed-from'] !== undefined)[0],
  )
  expect(returned.value).toEqual(poison!.value)
  expect(returned.headers).toMatchObject({
    topic: poison!.headers.topic,
    partition: poison!.headers.partition,
    offset: poison!.headers.offset,
  })
  expect(await command('--reason', poison!.headers.reason!)).toContain('1 records match: 1 to be replayed')

  await new Promise((resolve) => setTimeout(resolve, 1_000))
  expect(commands.values().filter(({ userId }) => userId === 'ada')).toHaveLength(1)
})

it('what a replay would harm is listed and refused: an old record of a compacted topic would overwrite a newer one', async () => {
  await (await connection.producer()).sendRaw(topics.templates.name, [{ key: 'w/later', value: Buffer.from('no template') }])
  await eventually(async () => (await readDeadLetters(connection)).some(({ headers }) => headers.topic === topics.templates.name))
  expect(await command('--topic', topics.templates.name, '--confirm')).toContain(
    '1 records match: 0 to be replayed, 0 replayed before, 1 not replayable.',
  )
})
