// What a send request may say, one test a rule.
import { parse, Problem } from '@stepcast/service'
import type { Variable } from '@stepcast/template'
import { receiversOf, sendBody, type SendRequest } from './request'

const variable = (name: string, more: Partial<Variable> = {}): Variable => ({
  name,
  type: 'string',
  required: true,
  default: null,
  ...more,
})
const body = (more: object = {}): SendRequest => ({ templateId: 'order-shipped', receivers: [{ userId: 'u1' }], ...more }) as SendRequest

function refusedAt(input: unknown): string[] {
  try {
    parse(sendBody, input)
  } catch (error) {
    if (error instanceof Problem) return error.errors.map(({ path }) => path)
    throw error
  }
  return []
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
])('refuses %s', (_what, input, paths) => expect(refusedAt(input)).toEqual(paths))

it('takes 10,000 receivers', () =>
  expect(refusedAt(body({ receivers: Array.from({ length: 10_000 }, (_, i) => ({ userId: `u${i}` })) }))).toEqual([]))

it('a user twice is one receiver, the first wins', () => {
  const request = body({
    receivers: [
      { userId: 'a', variables: { x: '1' } },
      { userId: 'b', variables: { x: '2' } },
      { userId: 'a' },
      { userId: 'a', variables: { x: '3' } },
    ],
  })
  expect(receiversOf([variable('x')], request)).toEqual({
    receivers: [
      { userId: 'a', variables: { x: '1' } },
      { userId: 'b', variables: { x: '2' } },
    ],
    duplicates: 2,
    errors: [],
  })
})

it('a missing required variable is named at its receiver; per-user, send and default all count', () => {
  const schema = [variable('a'), variable('b'), variable('c', { default: 'd' }), variable('e', { required: false })]
  const { errors } = receiversOf(
    schema,
    body({ variables: { a: '1' }, receivers: [{ userId: 'u1', variables: { b: '2' } }, { userId: 'u2' }] }),
  )
  expect(errors).toEqual([{ path: '/receivers/1/variables', message: expect.stringMatching(/^lacks b:/) }])
  expect(receiversOf(schema, body()).errors[0]!.message).toMatch(/^lacks a, b:/)
})

it('tells the first 20 errors', () => {
  const receivers = Array.from({ length: 100 }, (_, i) => ({ userId: `u${i}` }))
  expect(receiversOf([variable('a')], body({ receivers })).errors).toHaveLength(20)
})

it('variables over 64 kB are refused, in bytes and with those of the send', () => {
  const schema = [variable('a'), variable('b', { required: false })]
  expect(receiversOf(schema, body({ variables: { a: 'x'.repeat(64 * 1024 - 1) } })).errors).toEqual([])
  expect(receiversOf(schema, body({ variables: { a: 'x'.repeat(64 * 1024) } })).errors).toMatchObject([{ path: '/receivers/0/variables' }])
  expect(receiversOf(schema, body({ variables: { a: '한'.repeat(22_000) } })).errors).toMatchObject([{ path: '/receivers/0/variables' }])
  expect(
    receiversOf(schema, body({ variables: { a: 'x'.repeat(40_000) }, receivers: [{ userId: 'u', variables: { b: 'x'.repeat(30_000) } }] }))
      .errors,
  ).toMatchObject([{ path: '/receivers/0/variables' }])
})

it.each<[string, object, string]>([
  ['NUL in a variable', { receivers: [{ userId: 'u', variables: { a: 'x\0y' } }] }, '/receivers/0/variables/a'],
  ['NUL in the name of a variable', { variables: { 'a\0': 'x' } }, '/variables'],
  ['half an emoji in a variable', { variables: { name: 'Ann \ud83d' } }, '/variables/name'],
  ['half an emoji in a tag', { tag: 'Ann \ud83d' }, '/tag'],
  ['half an emoji in a userId', { receivers: [{ userId: 'u' }, { userId: 'a\ud800b' }] }, '/receivers/1/userId'],
  ['a version beyond int4', { templateVersion: 2_147_483_648 }, '/templateVersion'],
])('%s is refused where it stands', (_name, part, path) => {
  expect(errorsOf({ templateId: 't', receivers: [{ userId: 'u' }], ...part })).toMatchObject([{ path }])
})

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__', 'prototype'])('a variable may be called %s, of the send and of a receiver', (name) => {
  const request = (where: string): SendRequest => parse(sendBody, JSON.parse(where.replace('NAME', name)))
  const schema = [variable(name)]
  const ofSend = receiversOf(schema, request('{"templateId":"t","receivers":[{"userId":"u"}],"variables":{"NAME":"VAL"}}'))
  const ofUser = receiversOf(schema, request('{"templateId":"t","receivers":[{"userId":"u","variables":{"NAME":"VAL"}}]}'))
  expect([ofSend.errors, ofUser.errors, Object.entries(ofUser.receivers[0]!.variables)]).toEqual([[], [], [[name, 'VAL']]])
  expect(receiversOf(schema, request('{"templateId":"t","receivers":[{"userId":"u"}]}')).errors).toHaveLength(1)
})

it('text of any language and its line breaks are taken', () => {
  expect(errorsOf({ templateId: 't', receivers: [{ userId: 'u', variables: { a: 'line\n한글 😀' } }] })).toEqual([])
})

function errorsOf(request: object): readonly { path: string }[] {
  try {
    parse(sendBody, request)
    return []
  } catch (error) {
    return (error as Problem).errors
  }
}

it('an image or action is an http(s) URL, wherever it comes from', () => {
  const schema = [variable('link', { type: 'action', required: false })]
  expect(receiversOf(schema, body({ variables: { link: 'javascript:1' } })).errors).toMatchObject([{ path: '/variables/link' }])
  expect(receiversOf(schema, body({ receivers: [{ userId: 'u', variables: { link: 'shop' } }] })).errors).toMatchObject([
    { path: '/receivers/0/variables/link' },
  ])
  expect(receiversOf(schema, body({ variables: { link: 'https://shop.example' } })).errors).toEqual([])
  for (const link of ['https://good.example@evil.example', 'https://good.example\\@evil.example', 'https://a.example/\n', 'https:///x']) {
    expect(receiversOf(schema, body({ variables: { link } })).errors).toMatchObject([{ path: '/variables/link' }])
  }
})
