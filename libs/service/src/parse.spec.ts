// What a refused field says: where, what it is, and what is allowed.
import { z } from 'zod'
import { parse } from './parse'
import { Problem } from './problem'

function errorsOf(schema: z.ZodType, input: unknown): string[] {
  try {
    parse(schema, input)
    return []
  } catch (error) {
    return (error as Problem).errors.map(({ path, message }) => `${path} ${message}`)
  }
}

const step = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('wait'), minutes: z.number().int().max(1_440) }),
  z.object({ kind: z.literal('end'), note: z.string().max(5) }),
])

it.each<[string, z.ZodType, unknown, string[]]>([
  ['missing', z.object({ name: z.string() }), {}, ['/name is missing: must be a string']],
  ['wrong type', z.object({ name: z.string() }), { name: 5 }, ['/name must be a string, not 5']],
  ['one of', z.enum(['viewed', 'clicked']), 'opened', [' must be one of "viewed", "clicked", not "opened"']],
  ['long values are not repeated', z.literal('a'), 'x'.repeat(100), [' must be "a", not a string of 100 characters']],
  ['pointer escapes', z.record(z.string(), z.number()), { 'a/b~c': 'x' }, ['/a~1b~0c must be a number, not "x"']],
  ['nullable', z.object({ url: z.string().nullable() }), { url: 1 }, ['/url must be a string, not 1']],
  ['pattern', z.string().regex(/^[a-z]+$/), 'A', [' must match /^[a-z]+$/, not "A"']],
  ['own words win', z.string().regex(/^\+/, 'must be a phone number in E.164'), '5', [' must be a phone number in E.164']],
  ['time', z.iso.datetime(), 'now', [' must be an RFC 3339 time such as 2026-01-31T09:00:00Z, not "now"']],
  ['tagged union', step, { kind: 'stop' }, ['/kind must be one of "wait", "end", not "stop"']],
  ['branch of a tagged union', step, { kind: 'wait', minutes: 2_000 }, ['/minutes must be at most 1440, not 2000']],
  ['closest branch of a plain union', z.union([z.string(), z.object({ a: z.number() })]), { a: 'x' }, ['/a must be a number, not "x"']],
  ['whole number', z.int(), 1.5, [' must be a whole number, not 1.5']],
  ['list', z.array(z.string()).max(1), ['a', 'b'], [' must have at most 1 item, not a list of 2']],
])('%s', (_name, schema, input, errors) => {
  expect(errorsOf(schema, input)).toEqual(errors)
})

it('no text, whatever its schema, holds NUL or half a surrogate pair, in values and in names', () => {
  const anything = z.unknown()
  expect(errorsOf(z.object({ name: z.string() }), { name: 'a\u0000b' })).toEqual(['/name must not hold the character NUL'])
  expect(errorsOf(anything, 'Ann \ud83d')).toEqual([' must not hold half a surrogate pair'])
  expect(errorsOf(anything, { a: [1, { 'b/c': '\udc4b' }], d: 'e' })).toEqual(['/a/1/b~1c must not hold half a surrogate pair'])
  expect(errorsOf(z.record(z.string(), z.string()), { ok: 'x', 'a\u0000': 'x' })).toEqual([
    ' must not hold the character NUL in the name of a field',
  ])
  expect(errorsOf(z.array(z.string()), ['\u0000', 'Ann 👋', '\ud83d'])).toEqual([
    '/0 must not hold the character NUL',
    '/2 must not hold half a surrogate pair',
  ])
  expect(
    errorsOf(
      z.array(z.string()),
      Array.from({ length: 500 }, () => '\u0000'),
    ),
  ).toHaveLength(100)
})

it('looks into what is nested deeper than the stack is', () => {
  let nested: unknown = '\u0000'
  for (let depth = 0; depth < 200_000; depth++) nested = [nested]
  expect(errorsOf(z.unknown(), nested)).toHaveLength(1)
})

it('stops at 100 errors', () => {
  expect(
    errorsOf(
      z.array(z.string()),
      Array.from({ length: 500 }, () => 1),
    ),
  ).toHaveLength(100)
})
