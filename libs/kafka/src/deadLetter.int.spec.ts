import { deadLetterTopic, maxMessageBytes, topics } from '@stepcast/contracts'
import { readDeadLetters, specStack, type SpecStack } from '@stepcast/testing'
import { ConfigResourceTypes } from 'kafkajs'
import { writeDeadLetters, type DeadLetter, type RawIncoming } from './index'

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())

let offset = 0
const letter = (of: Partial<RawIncoming>): DeadLetter => ({
  record: { topic: topics.sends.name, partition: 0, offset: offset++, key: null, value: null, headers: {}, timestamp: 1, ...of },
  reason: 'spec',
  detail: 'why',
})

it('the topic takes every letter: seeded sizes of key, value and headers around its limit', async () => {
  let random = 11
  const next = (below: number): number => (random = (random * 48_271) % 2_147_483_647) % below
  const letters: DeadLetter[] = []
  // Each is the limit, more or less, shared among the three.
  for (let run = 0; run < 12; run++) {
    let left = maxMessageBytes - 420 + next(440)
    const value = run % 3 === 0 ? left : next(left)
    left -= value
    const key = run % 3 === 1 ? left : next(left + 1)
    letters.push(letter({ key: Buffer.alloc(key, 1), value: Buffer.alloc(value, 2), headers: { h: Buffer.alloc(left - key, 3) } }))
  }
  letters.push(
    letter({ value: Buffer.alloc(30e6) }),
    letter({ headers: { h: Buffer.alloc(30e6) }, value: Buffer.from('v') }),
    letter({ key: Buffer.alloc(30e6) }),
  )
  await writeDeadLetters(stack.connection(), letters)
  const read = await readDeadLetters(stack.connection())
  expect(read.map(({ headers }) => Number(headers.offset)).sort((a, b) => a - b)).toEqual(letters.map(({ record }) => record.offset))
})

it('tried again, a letter is not written again; another process writes it once more', async () => {
  const connection = stack.connection()
  const told: string[] = []
  connection.onDeadLetter = (_, reason) => told.push(reason)
  const again = [letter({ value: Buffer.from('a') }), letter({ value: Buffer.from('b') })]
  const mine = async (): Promise<number> =>
    (await readDeadLetters(stack.connection())).filter(({ headers }) =>
      again.some(({ record }) => String(record.offset) === headers.offset),
    ).length
  for (let run = 0; run < 5; run++) await writeDeadLetters(connection, again)
  expect([await mine(), told.length]).toEqual([2, 2])
  await writeDeadLetters(connection, [{ ...again[0]!, reason: 'another' }])
  await writeDeadLetters(stack.connection(), again)
  expect(await mine()).toBe(5)
})

it('also a topic that somebody made with a smaller limit takes them', async () => {
  const connection = stack.connection()
  await (await connection.admin()).alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: connection.physical(deadLetterTopic.name),
        configEntries: [{ name: 'max.message.bytes', value: '600000' }],
      },
    ],
  })
  const large = letter({ value: Buffer.alloc(1e6) })
  await writeDeadLetters(connection, [large, letter({ value: Buffer.from('small') })])
  const read = await readDeadLetters(stack.connection())
  expect(read.find(({ headers }) => headers.offset === String(large.record.offset))!.headers).toMatchObject({
    'not-kept': 'value',
    'value-bytes': '1000000',
  })
})
