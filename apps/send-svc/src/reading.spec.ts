// A send is read as it comes: the same request however its JSON is written and cut, and never more in memory than was allowed.
import fc from 'fast-check'
import { fingerprintOf, HeldBytes, Problem } from '@stepcast/service'
import { readSend } from './reading'

async function* cut(bytes: Buffer, at: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += at) yield bytes.subarray(from, from + at)
}
const read = (text: string | Buffer, pieceBytes = 7, held = new HeldBytes(1e9)): ReturnType<typeof readSend> =>
  readSend(cut(Buffer.from(text), pieceBytes), held)

async function refusal(text: string | Buffer, pieceBytes?: number): Promise<{ status: number; said: string }> {
  const held = new HeldBytes(1e9)
  const error: unknown = await read(text, pieceBytes, held).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Problem)) throw error
  // Whatever was wrong: nothing stays held.
  held.take(1e9)
  return { status: error.status, said: [error.message, ...error.errors.map(({ path, message }) => `${path} ${message}`)].join(' ') }
}

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((value) => !/[\u0000-\u001f\u007f]/.test(value) && value.isWellFormed())
const variables = fc.dictionary(
  text.filter((name) => name !== '__proto__'),
  fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !value.includes('\0') && value.isWellFormed()),
  { maxKeys: 4 },
)
const request = fc.record(
  {
    templateId: fc.constant('order-shipped'),
    templateVersion: fc.integer({ min: 1, max: 99 }),
    tag: text,
    variables,
    receivers: fc.array(fc.record({ userId: text, variables }, { requiredKeys: ['userId'] }), { minLength: 1, maxLength: 6 }),
  },
  { requiredKeys: ['templateId', 'receivers'] },
)

it('what is read is what was written: any spelling, any order, cut anywhere; and it has the fingerprint of the whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      request,
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(undefined, 1, '\t'),
      fc.boolean(),
      async (asked, pieceBytes, indent, backwards) => {
        const written = backwards ? Object.fromEntries(Object.entries(asked).reverse()) : asked
        const { request: found, fingerprint } = await read(JSON.stringify(written, null, indent), pieceBytes)
        const { receivers, ...rest } = found
        expect(rest).toEqual({
          templateId: asked.templateId,
          templateVersion: asked.templateVersion ?? null,
          tag: asked.tag ?? null,
          variables: { ...asked.variables },
        })
        expect(receivers.map(({ userId, variables }) => [userId, variables && JSON.parse(variables.toString())])).toEqual(
          asked.receivers.map(({ userId, variables = {} }) => [userId, Object.keys(variables).length === 0 ? null : { ...variables }]),
        )
        const withoutEmpty = ({ variables = {}, ...more }: { variables?: object }): object =>
          Object.keys(variables).length === 0 ? more : { ...more, variables }
        expect(fingerprint).toBe(fingerprintOf({ ...withoutEmpty(asked), receivers: asked.receivers.map(withoutEmpty) }))
      },
    ),
    { numRuns: 150 },
  )
}, 60_000)

it('absent, null and empty are the same request', async () => {
  const fingerprints = await Promise.all(
    [
      { templateId: 't', receivers: [{ userId: 'u' }] },
      { templateId: 't', receivers: [{ userId: 'u', variables: null }], tag: null, templateVersion: null, variables: null },
      { templateId: 't', receivers: [{ userId: 'u', variables: {} }], variables: {} },
    ].map(async (body) => (await read(JSON.stringify(body))).fingerprint),
  )
  expect(new Set(fingerprints).size).toBe(1)
})

it.each<[string, string]>([
  ['names written with escapes', '{"templateId":"t","\\u0072eceivers":[{"userId":"u"}]}'],
  ['a byte order mark', '\ufeff{"templateId":"t","receivers":[{"userId":"u"}]}'],
  [
    'a list called receivers elsewhere is no list of receivers',
    '{"variables":{"receivers":"[1,2]"},"templateId":"t","receivers":[{"userId":"u"}]}',
  ],
  [
    'brackets, commas and quotes in texts',
    '{"templateId":"t","tag":"[{,}]\\"","receivers":[ {"userId":"u","variables":{"a":"],[\\\\"}} ]}',
  ],
])('%s', async (_what, written) => {
  const { request } = await read(written, 3)
  expect(request.receivers.map(({ userId }) => userId)).toEqual(['u'])
})

it.each<[string, string, number, string]>([
  ['nothing', '', 400, 'is missing'],
  ['no JSON', '{"templateId":', 400, 'is not JSON'],
  ['half a list', '{"templateId":"t","receivers":[{"userId":"u"}', 400, 'is not JSON'],
  ['no JSON in a receiver', '{"templateId":"t","receivers":[{"userId":u}]}', 400, 'is not JSON'],
  ['two in the place of one', '{"templateId":"t","receivers":[{"userId":"u"}{"userId":"v"}]}', 400, 'is not JSON'],
  ['a comma too many', '{"templateId":"t","receivers":[{"userId":"u"},]}', 400, 'is not JSON'],
  ['text behind the end', '{"templateId":"t","receivers":[{"userId":"u"}]}x', 400, 'is not JSON'],
  ['two lists', '{"templateId":"t","receivers":[{"userId":"u"}],"receivers":[{"userId":"v"}]}', 400, '/receivers is given twice'],
  ['a list instead of an object', '[{"userId":"u"}]', 422, 'must be an object'],
  ['no list', '{"templateId":"t","receivers":{"userId":"u"}}', 422, '/receivers must be an array'],
  ['an empty list', '{"templateId":"t","receivers":[]}', 422, '/receivers must have at least 1 item'],
  [
    'wrong here and there: all is told',
    '{"templateId":"T","receivers":[{"userId":""},{"userId":"u"},{"userId":7}]}',
    422,
    '/receivers/2/userId',
  ],
  [
    'half an emoji',
    '{"templateId":"t","receivers":[{"userId":"u","variables":{"a":"Ann \\ud83d"}}]}',
    422,
    '/receivers/0/variables/a must not hold half a surrogate pair',
  ],
])('%s is refused', async (_what, written, status, said) => {
  const found = await refusal(written)
  expect({ ...found, said: found.said.includes(said) ? said : found.said }).toEqual({ status, said })
})

it('bytes that are no UTF-8 are refused, in a receiver and beside', async () => {
  for (const written of [
    '{"templateId":"t","receivers":[{"userId":"Zo\xeb"}]}',
    '{"tag":"Zo\xeb","templateId":"t","receivers":[{"userId":"u"}]}',
  ]) {
    expect(await refusal(Buffer.from(written, 'latin1'))).toMatchObject({ status: 400, said: expect.stringContaining('UTF-8') as string })
  }
})

const megabytes = (count: number, piece: string): Buffer => Buffer.from(piece.repeat(Math.ceil((count * 1024 * 1024) / piece.length)))

it('what brought a service down ends at its first megabyte, and at its 64th level', async () => {
  // 33 million brackets; flat lists and objects of 66 MB; one receiver of 60 MB; one text without an end.
  expect(await refusal(megabytes(33, '['), 65_536)).toMatchObject({ status: 400, said: expect.stringContaining('64 levels') as string })
  expect(await refusal(Buffer.concat([Buffer.from('['), megabytes(66, '{"a":1},')]), 65_536)).toMatchObject({ status: 413 })
  expect(await refusal(Buffer.concat([Buffer.from('{"receivers":[{"a":['), megabytes(60, '1,')]), 65_536)).toMatchObject({
    status: 422,
    said: expect.stringContaining('/receivers/0 is larger than 1 MB') as string,
  })
  expect(await refusal(Buffer.concat([Buffer.from('{"tag":"'), megabytes(60, 'x')]), 65_536)).toMatchObject({ status: 413 })
  expect(await refusal(Buffer.concat([Buffer.from('{"receivers":['), megabytes(60, '{},')]), 65_536)).toMatchObject({ status: 422 })
  expect(
    await refusal(Buffer.concat([Buffer.from('{"templateId":"t","receivers":['), megabytes(1, '{"userId":"u"},')]), 65_536),
  ).toMatchObject({ status: 422, said: expect.stringContaining('at most 10000') as string })
}, 60_000)

it('whoever finds no room for his body is told to come again, and leaves what he held', async () => {
  const held = new HeldBytes(100, 30)
  const error: unknown = await read(
    JSON.stringify({ templateId: 't', receivers: Array.from({ length: 30 }, (_, i) => ({ userId: `u${i}` })) }),
    20,
    held,
  ).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ status: 503 })
  held.take(100)
})
