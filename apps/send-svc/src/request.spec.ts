// What a send request may say, one test a rule.
import { HeldBytes, Problem } from '@stepcast/service'
import type { Variable } from '@stepcast/template'
import { readSend } from './reading'
import { receiversOf, type SendRequest } from './request'

const variable = (name: string, more: Partial<Variable> = {}): Variable => ({
  name,
  type: 'string',
  required: true,
  default: null,
  ...more,
})
const body = (more: object = {}): object => ({ templateId: 'order-shipped', receivers: [{ userId: 'u1' }], ...more })
/** A body as it is read. */
async function asked(more: object = {}): Promise<SendRequest> {
  return (await readSend([Buffer.from(JSON.stringify(body(more)))] as unknown as AsyncIterable<Buffer>, new HeldBytes(1e9))).request
}
const variablesOf = ({ variables }: { variables: Buffer | null }): unknown => variables && JSON.parse(variables.toString())

async function refusedAt(input: unknown): Promise<string[]> {
  return (await errorsOf(input)).map(({ path }) => path)
}

it.each<[string, unknown, string[]]>([
  ['no templateId', body({ templateId: undefined }), ['/templateId']],
  ['a templateId that can be none', body({ templateId: 'Order' }), ['/templateId']],
  ['version 0', body({ templateVersion: 0 }), ['/templateVersion']],
  ['no receivers', body({ receivers: [] }), ['/receivers']],
  ['10,001 receivers', body({ receivers: Array.from({ length: 10_001 }, (_, i) => ({ userId: `u${i}` })) }), ['/receivers']],
  ['an empty userId', body({ receivers: [{ userId: '' }] }), ['/receivers/0/userId']],
  ['a userId of 129 characters', body({ receivers: [{ userId: 'u' }, { userId: 'a'.repeat(129) }] }), ['/receivers/1/userId']],
  ['a control character', body({ receivers: [{ userId: 'a\tb' }] }), ['/receivers/0/userId']],
  ['a variable that is no text', body({ receivers: [{ userId: 'u', variables: { n: 1 } }] }), ['/receivers/0/variables/n']],
  ['a variable of the send that is no text', body({ variables: { n: null } }), ['/variables/n']],
  ['a tag over 128 characters', body({ tag: 't'.repeat(129) }), ['/tag']],
  ['an unknown field', body({ channel: 'sms' }), ['/channel']],
  ['an unknown field of a receiver', body({ receivers: [{ userId: 'u', phone: '+1' }] }), ['/receivers/0/phone']],
])('refuses %s', async (_what, input, paths) => expect(await refusedAt(input)).toEqual(paths))

it('takes 10,000 receivers', async () =>
  expect(await refusedAt(body({ receivers: Array.from({ length: 10_000 }, (_, i) => ({ userId: `u${i}` })) }))).toEqual([]))

it('a user twice is one receiver, the first wins', async () => {
  const request = await asked({
    receivers: [
      { userId: 'a', variables: { x: '1' } },
      { userId: 'b', variables: { x: '2' } },
      { userId: 'a' },
      { userId: 'a', variables: { x: '3' } },
    ],
  })
  const { receivers, ...more } = await receiversOf([variable('x')], request)
  expect(receivers.map((receiver) => [receiver.userId, variablesOf(receiver)])).toEqual([
    ['a', { x: '1' }],
    ['b', { x: '2' }],
  ])
  expect(more).toEqual({ duplicates: 2, errors: [] })
})

it('a missing required variable is named at its receiver; per-user, send and default all count', async () => {
  const schema = [variable('a'), variable('b'), variable('c', { default: 'd' }), variable('e', { required: false })]
  const { errors } = await receiversOf(
    schema,
    await asked({ variables: { a: '1' }, receivers: [{ userId: 'u1', variables: { b: '2' } }, { userId: 'u2' }] }),
  )
  expect(errors).toEqual([{ path: '/receivers/1/variables', message: expect.stringMatching(/^lacks b:/) }])
  expect((await receiversOf(schema, await asked())).errors[0]!.message).toMatch(/^lacks a, b:/)
})

it('tells the first 20 errors', async () => {
  const receivers = Array.from({ length: 100 }, (_, i) => ({ userId: `u${i}` }))
  expect((await receiversOf([variable('a')], await asked({ receivers }))).errors).toHaveLength(20)
})

it('variables over 64 kB are refused, in bytes and with those of the send', async () => {
  const schema = [variable('a'), variable('b', { required: false })]
  expect((await receiversOf(schema, await asked({ variables: { a: 'x'.repeat(64 * 1024 - 1) } }))).errors).toEqual([])
  expect((await receiversOf(schema, await asked({ variables: { a: 'x'.repeat(64 * 1024) } }))).errors).toMatchObject([
    { path: '/receivers/0/variables' },
  ])
  expect((await receiversOf(schema, await asked({ variables: { a: '한'.repeat(22_000) } }))).errors).toMatchObject([
    { path: '/receivers/0/variables' },
  ])
  expect(
    (
      await receiversOf(
        schema,
        await asked({ variables: { a: 'x'.repeat(40_000) }, receivers: [{ userId: 'u', variables: { b: 'x'.repeat(30_000) } }] }),
      )
    ).errors,
  ).toMatchObject([{ path: '/receivers/0/variables' }])
})

it.each<[string, object, string]>([
  ['NUL in a variable', { receivers: [{ userId: 'u', variables: { a: 'x\0y' } }] }, '/receivers/0/variables/a'],
  ['NUL in the name of a variable', { variables: { 'a\0': 'x' } }, '/variables'],
  ['half an emoji in a variable', { variables: { name: 'Ann \ud83d' } }, '/variables/name'],
  ['half an emoji in a tag', { tag: 'Ann \ud83d' }, '/tag'],
  ['half an emoji in a userId', { receivers: [{ userId: 'u' }, { userId: 'a\ud800b' }] }, '/receivers/1/userId'],
  ['a version beyond int4', { templateVersion: 2_147_483_648 }, '/templateVersion'],
])('%s is refused where it stands', async (_name, part, path) => {
  expect(await errorsOf({ templateId: 't', receivers: [{ userId: 'u' }], ...part })).toMatchObject([{ path }])
})

it('text of any language and its line breaks are taken', async () => {
  expect(await errorsOf({ templateId: 't', receivers: [{ userId: 'u', variables: { a: 'line\n한글 😀' } }] })).toEqual([])
})

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__', 'prototype'])(
  'a variable may be called %s, of the send and of a receiver',
  async (name) => {
    const request = async (where: string): Promise<SendRequest> =>
      (await readSend([Buffer.from(where.replace('NAME', name))] as unknown as AsyncIterable<Buffer>, new HeldBytes(1e9))).request
    const schema = [variable(name)]
    const ofSend = await receiversOf(schema, await request('{"templateId":"t","receivers":[{"userId":"u"}],"variables":{"NAME":"VAL"}}'))
    const ofUser = await receiversOf(schema, await request('{"templateId":"t","receivers":[{"userId":"u","variables":{"NAME":"VAL"}}]}'))
    expect([ofSend.errors, ofUser.errors, Object.entries(variablesOf(ofUser.receivers[0]!) as object)]).toEqual([[], [], [[name, 'VAL']]])
    expect((await receiversOf(schema, await request('{"templateId":"t","receivers":[{"userId":"u"}]}'))).errors).toHaveLength(1)
  },
)

async function errorsOf(request: unknown): Promise<readonly { path: string }[]> {
  try {
    await readSend([Buffer.from(JSON.stringify(request))] as unknown as AsyncIterable<Buffer>, new HeldBytes(1e9))
    return []
  } catch (error) {
    if (error instanceof Problem) return error.errors
    throw error
  }
}

it('an image or action is an http(s) URL, wherever it comes from', async () => {
  const schema = [variable('link', { type: 'action', required: false })]
  expect((await receiversOf(schema, await asked({ variables: { link: 'javascript:1' } }))).errors).toMatchObject([
    { path: '/variables/link' },
  ])
  expect((await receiversOf(schema, await asked({ receivers: [{ userId: 'u', variables: { link: 'shop' } }] }))).errors).toMatchObject([
    { path: '/receivers/0/variables/link' },
  ])
  expect((await receiversOf(schema, await asked({ variables: { link: 'https://shop.example' } }))).errors).toEqual([])
  for (const link of ['https://good.example@evil.example', 'https://good.example\\@evil.example', 'https://a.example/\n', 'https:///x']) {
    expect((await receiversOf(schema, await asked({ variables: { link } }))).errors).toMatchObject([{ path: '/variables/link' }])
  }
})
