// Shapes read like the JSON they describe.
import { shape } from './shape'

it('writes a schema in the shape of its JSON', () => {
  const schema = {
    type: 'object',
    required: ['name', 'steps'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 9 },
      steps: { type: 'array', items: { $ref: '#/components/schemas/Step' } },
      tag: { type: 'string', nullable: true },
    },
  }
  expect(shape(schema, { Step: { type: 'object', properties: { wait: { enum: [5, 10] } } } })).toBe(
    '{\n  name: string (1..9)\n  steps: [ {\n    wait?: 5 | 10\n  } ]\n  tag?: string | null\n}',
  )
})

it('ends where schemas refer to themselves', () => {
  expect(shape({ $ref: '#/x/Node' }, { Node: { properties: { next: { $ref: '#/x/Node' } } } })).toContain('…')
})
