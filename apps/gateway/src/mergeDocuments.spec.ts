// Documents of several services become one: same names stay apart, inner calls stay inside.
import { mergeDocuments, type OpenApiDocument } from './mergeDocuments'

const documentOf = (paths: OpenApiDocument['paths'], schemas: Record<string, unknown> = {}): OpenApiDocument => ({
  openapi: '3.0.0',
  info: { title: 'x', version: '1' },
  paths,
  components: { schemas },
})
const returning = (name: string) => ({
  responses: { 200: { content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } } },
})

it('renames a schema that another service uses for something else, and only that', () => {
  const merged = mergeDocuments([
    { name: 'a', document: documentOf({ '/v1/a': { get: returning('Item') } }, { Item: { type: 'string' }, Same: { type: 'null' } }) },
    { name: 'b', document: documentOf({ '/v1/b': { get: returning('Item') } }, { Item: { type: 'number' }, Same: { type: 'null' } }) },
  ])
  expect(merged.components!.schemas).toEqual({ Item: { type: 'string' }, Item_b: { type: 'number' }, Same: { type: 'null' } })
  expect(merged.paths['/v1/b']!.get).toMatchObject(returning('Item_b'))
  expect(merged.paths['/v1/a']!.get).toMatchObject(returning('Item'))
})

it('leaves out what is not for callers from outside', () => {
  const merged = mergeDocuments([
    {
      name: 'a',
      document: documentOf({
        '/v1/a': { get: { 'x-stepcast-scopes': ['read', 'internal'] }, post: { 'x-stepcast-scopes': ['internal'] } },
        '/internal/a': { get: {} },
        '/l/{token}': { get: {} },
      }),
    },
  ])
  expect(Object.entries(merged.paths).map(([path, operations]) => [path, Object.keys(operations)])).toEqual([
    ['/l/{token}', ['get']],
    ['/v1/a', ['get']],
  ])
})

it('names what is missing', () => {
  expect(mergeDocuments([], ['b'])['x-stepcast-missing']).toEqual(['b'])
})
