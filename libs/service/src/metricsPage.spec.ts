// The operator's page and the code name the same metrics.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const checkout = join(__dirname, '../../..')

/** Every metric of ours that some service or library registers. */
function registered(): Set<string> {
  const names = ['apps', 'libs'].flatMap((group) =>
    readdirSync(join(checkout, group)).flatMap((part) => {
      const source = join(checkout, group, part, 'src')
      return readdirSync(source, { recursive: true, encoding: 'utf8' })
        .filter((file) => /(?<!\.spec)\.ts$/.test(file))
        .flatMap((file) =>
          [...readFileSync(join(source, file), 'utf8').matchAll(/(?:name: |gauge\()\s*'(stepcast_[a-z_]+)'/g)].map(([, name]) => name!),
        )
    }),
  )
  return new Set(names)
}

/** Every metric that has a row of its own on the page, and whether each cell of meaning and health says something. */
function documented(): Map<string, boolean> {
  const rows = readFileSync(join(checkout, 'docs/operations.md'), 'utf8').matchAll(/^\| `(stepcast_[a-z_]+)` \|(.+)\|$/gm)
  return new Map(
    [...rows].map(([, name, rest]) => [
      name!,
      rest!
        .split('|')
        .slice(0, 4)
        .every((cell) => cell.trim() !== ''),
    ]),
  )
}

it('every metric that the code registers has its row, and no row is of a metric that is gone', () => {
  expect([...documented().keys()].sort()).toEqual([...registered()].sort())
})

it('each row says which service, what it means, what is healthy and when to be alerted', () => {
  expect([...documented()].filter(([, complete]) => !complete)).toEqual([])
})
