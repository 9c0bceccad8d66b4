// The readable page never lets text become markup.
import { docsPage } from './docsPage'

it('escapes whatever services say', () => {
  const page = docsPage({
    openapi: '3.0.0',
    info: { title: 'T', version: '1' },
    paths: { '/v1/<b>': { get: { summary: '<script>', description: '&', 'x-stepcast-scopes': ['"'] } } },
  })
  expect(page).not.toMatch(/<script>|<b>/)
})
