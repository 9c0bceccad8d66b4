// Rule 25: per-user, then send, then the schema's default; a missing required variable is named.
import { resolveVariables } from './variables'
import type { Variable } from './template'

const variable = (name: string, more: Partial<Variable> = {}): Variable => ({
  name,
  type: 'string',
  required: false,
  default: null,
  ...more,
})

it('per-user wins over send, send over default', () => {
  const schema = [variable('a', { default: 'd' }), variable('b', { default: 'd' }), variable('c', { default: 'd' })]
  expect(resolveVariables(schema, { a: 's', b: 's' }, { a: 'u' })).toEqual({ variables: { a: 'u', b: 's', c: 'd' }, missing: [] })
})

it('names every required variable without a value; a default is a value, so is the empty text', () => {
  const schema = [
    variable('a', { required: true }),
    variable('b', { required: true, default: 'x' }),
    variable('c', { required: true }),
    variable('d'),
  ]
  expect(resolveVariables(schema, {}, { c: '' })).toEqual({ variables: { b: 'x', c: '' }, missing: ['a'] })
})

it('drops values the schema does not know and never reads inherited ones', () => {
  expect(resolveVariables([variable('toString', { required: true })], { other: '1' }, {})).toEqual({ variables: {}, missing: ['toString'] })
  const resolved = resolveVariables([variable('__proto__')], JSON.parse('{"__proto__":"x"}') as Record<string, string>, {})
  expect(Object.entries(resolved.variables)).toEqual([['__proto__', 'x']])
})
