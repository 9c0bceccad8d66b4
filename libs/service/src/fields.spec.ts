// What a call takes is what the database, a date and the wire take.
import { z } from 'zod'
import { freeId, instant, instantMs, int4, int8, locale, namedTexts, queryInt4, templateIdField } from './fields'

it.each<[string, z.ZodType, unknown[], unknown[]]>([
  ['freeId', freeId, ['a', '주문 1', 'x'.repeat(128), '__proto__'], ['', 'x'.repeat(129), 'a\u0000', 'a\ud800b', 'a\nb', 5]],
  ['templateId', templateIdField, ['order-shipped', 'a'], ['A', '-a', 'a b', 'a\u0000', 'x'.repeat(65)]],
  ['int4', int4(1), [1, 2_147_483_647], [0, 2_147_483_648, 1.5, 1e308, Infinity, '1', null]],
  ['int4 of a query', queryInt4(1), ['1', '2147483647'], ['0', '2147483648', '1.5', '1e308', 'x', '']],
  ['int8', int8(), [0, Number.MAX_SAFE_INTEGER], [-1, 2 ** 53, 1e308, 0.5]],
  [
    'instant',
    instant,
    ['1970-01-01T00:00:00Z', '2026-01-31T09:00:00+09:00', '2199-12-31T23:59:59.999Z'],
    [
      '0000-01-01T00:00:00Z',
      '0001-01-01T00:00:00+14:00',
      '9999-12-31T23:59:59Z',
      '2200-01-01T00:00:00Z',
      '1969-12-31T23:59:59Z',
      '2026-02-30T00:00:00Z',
      'now',
      0,
    ],
  ],
  ['instant in milliseconds', instantMs, [0, 1_767_225_600_000], [-1, 1_767_225_600_000_000, 9.0e15, 1.5, NaN]],
])('%s', (_name, schema, taken, refused) => {
  for (const value of taken) expect([value, schema.safeParse(value).success]).toEqual([value, true])
  for (const value of refused) expect([value, schema.safeParse(value).success]).toEqual([value, false])
})

it.each([
  ['ko-KR', 'ko-KR'],
  ['ko-kr', 'ko-KR'],
  ['ko_KR', 'ko-KR'],
  ['zh_Hant_TW', 'zh-Hant-TW'],
  ['zh-hant_tw', 'zh-Hant-TW'],
  ['ko', 'ko'],
  ['en_US_POSIX', 'en-US-u-va-posix'],
])('a locale %s is %s', (given, kept) => expect(locale.parse(given)).toBe(kept))

it.each(['', '_', 'ko_', 'ko KR', 'ko_KR.UTF-8', 'Korean language', 'k', 5])('a locale %j is refused', (given) =>
  expect(locale.safeParse(given).success).toBe(false),
)
describe('texts by name', () => {
  const texts = namedTexts((name, text) => (name.length + text.length > 20 ? 'is too long' : null))
  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf', ''])(
    'keep the name %j',
    (name) => {
      const body: unknown = JSON.parse(`{"${name}":"VAL","other":"x"}`)
      const taken = z.strictObject({ variables: texts.nullish(), more: texts.default({}) }).parse({ variables: body })
      expect([Object.entries(taken.variables!), taken.more]).toEqual([
        [
          [name, 'VAL'],
          ['other', 'x'],
        ],
        {},
      ])
      expect(Object.getPrototypeOf(taken.variables)).toBe(Object.prototype)
    },
  )
  it.each([[5], [null], [[]], ['x'], [{ a: 1 }], [{ a: null }], [JSON.parse('{"__proto__":{"a":"b"}}')], [{ a: 'x'.repeat(20) }]])(
    'are not %j',
    (value) => expect(texts.safeParse(value).success).toBe(false),
  )
  it('are described as an object of texts', () => {
    expect(z.toJSONSchema(texts, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' })).toMatchObject({
      type: 'object',
      additionalProperties: { type: 'string' },
    })
  })
})
