// Test builds: every marker becomes a call, and every mutant still finds the text it breaks.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync } from '@swc/core'
import { checkout } from '@stepcast/local'
import { Random } from './random'
import { failpointNames, planOf } from './faults'
import { mutants } from './mutants'
import { edited, failpointsOf, productSources, withFailpoints } from './testBuild'

const sourceOf = (file: string): string => readFileSync(join(checkout, file), 'utf8')
const parse = (source: string): unknown => parseSync(source, { syntax: 'typescript', decorators: true, target: 'es2022' })

describe('a test build', () => {
  it('makes a call of a marker that has a line of its own, and leaves everything else alone', () => {
    const source = 'a()\n  // failpoint: before-commit\nb()\n// failpoint(sync): taken\n// a failpoint: of words\n'
    expect(withFailpoints(source).split('\n')).toEqual([
      'a()',
      "  ;await (globalThis as any).stepcastFailpoint?.('before-commit')",
      'b()',
      ";(globalThis as any).stepcastFailpoint?.('taken')",
      '// a failpoint: of words',
      '',
    ])
    expect(failpointsOf(source)).toEqual(['before-commit', 'taken'])
  })

  it('compiles wherever the product has markers', () => {
    const marked = productSources().filter((file) => file.endsWith('.ts') && failpointsOf(sourceOf(file)).length > 0)
    expect(marked.length).toBeGreaterThan(5)
    for (const file of marked) parse(withFailpoints(sourceOf(file)))
  })

  it('has every failpoint that a fault strikes at', () => {
    const there = new Set(
      productSources()
        .filter((file) => file.endsWith('.ts'))
        .flatMap((file) => failpointsOf(sourceOf(file))),
    )
    expect(failpointNames.filter((name) => !there.has(name))).toEqual([])
  })

  it('refuses an edit whose text is not there once', () => {
    expect(() => edited('a b a', [{ file: 'x.ts', text: 'a', instead: 'c' }])).toThrow('2 times, not once')
    expect(() => edited('a b a', [{ file: 'x.ts', text: 'd', instead: 'c' }])).toThrow('0 times, not once')
    expect(edited('a b a', [{ file: 'x.ts', text: 'b', instead: 'c' }])).toBe('a c a')
  })
})

describe('the mutants', () => {
  it('are the ten of the plan', () => {
    expect(mutants).toHaveLength(10)
  })

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
    '%s: each edit still applies, and the result compiles',
    (_, { edits }) => {
      for (const file of new Set(edits.map((edit) => edit.file))) {
        const source = edited(
          sourceOf(file),
          edits.filter((edit) => edit.file === file),
        )
        expect(source).not.toBe(sourceOf(file))
        parse(withFailpoints(source))
      }
    },
  )
})

describe('a plan', () => {
  it('is the same for the same seed', () => {
    const kinds = (seed: number): string[] => planOf(30, new Random(seed), false).map(({ kind }) => kind)
    expect(kinds(7)).toEqual(kinds(7))
    expect(kinds(7)).not.toEqual(kinds(8))
  })

  it('strikes everywhere once before it strikes anywhere again', () => {
    const areas = planOf(13, new Random(1), false).map(({ area }) => area)
    const wanted = ['orchestrator', 'push-dispatcher', 'inapp-dispatcher', 'sms-dispatcher', 'messenger-dispatcher', 'kafka', 'postgres']
    expect(areas).toEqual(expect.arrayContaining(wanted))
  })

  it('waits for nothing when it is short', () => {
    for (const { kind } of planOf(40, new Random(1), true)) expect(kind).not.toMatch(/SIGSTOP|clock|twice|reset/)
  })
})
