// docs/topics.md says what the topic registry says. WRITE_DOCS=1 writes it anew.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { topicsPage } from './topicsPage'

const file = join(__dirname, '..', '..', '..', 'docs', 'topics.md')

it('docs/topics.md is current', () => {
  if (process.env.WRITE_DOCS) writeFileSync(file, topicsPage())
  expect(readFileSync(file, 'utf8')).toBe(topicsPage())
})
