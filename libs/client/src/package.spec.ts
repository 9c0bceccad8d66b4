// The package as its users get it: packed, installed in a folder of its own, compiled against strictly, and run.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const packageRoot = join(__dirname, '..')
const tsc = require.resolve('typescript/bin/tsc')

interface Packed {
  readonly filename: string
  readonly version: string
  readonly files: readonly { readonly path: string }[]
}

describe('@stepcast/client, packed', () => {
  let folder: string
  let packed: Packed
  const run = (command: string, args: readonly string[]): string => {
    try {
      return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string }
      throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`)
    }
  }
  const write = (file: string, content: string): void => writeFileSync(join(folder, file), content)

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'stepcast-client-'))
    const output = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: packageRoot,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const answer = JSON.parse(output.slice(output.search(/^[[{]/m))) as Packed[] | Record<string, Packed>
    packed = Object.values(answer)[0]!
    write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
    run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', join(folder, packed.filename)])
  }, 240_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('holds compiled code with types, its README and nothing else', () => {
    const files = packed.files.map(({ path }) => path)
    expect(files).toEqual(
      expect.arrayContaining([
        'package.json',
        'README.md',
        'dist/index.mjs',
        'dist/index.js',
        'dist/index.d.ts',
        'dist/index.d.mts',
        'dist/feed.d.mts',
      ]),
    )
    expect(files.filter((file) => !/^(package\.json|README\.md|dist\/\w+\.(js|mjs|d\.ts|d\.mts|js\.map|mjs\.map))$/.test(file))).toEqual([])
    expect(files.filter((file) => /spec/.test(file))).toEqual([])
    // Each module has the four: whoever imports and whoever requires finds code and types.
    const modules = files.flatMap((file) => /^dist\/(\w+)\.mjs$/.exec(file)?.[1] ?? [])
    for (const module of modules)
      expect(files).toEqual(expect.arrayContaining(['js', 'd.ts', 'd.mts'].map((ending) => `dist/${module}.${ending}`)))
  })

  it('tells what it is', () => {
    const { name, version, license, exports, dependencies } = JSON.parse(
      readFileSync(join(folder, 'node_modules/@stepcast/client/package.json'), 'utf8'),
    )
    expect({ name, version, license, dependencies }).toEqual({
      name: '@stepcast/client',
      version: packed.version,
      license: 'Apache-2.0',
      dependencies: undefined,
    })
    expect(JSON.stringify(exports)).not.toContain('src/')
  })

  const browser = ['--lib', 'es2022,dom,dom.iterable']
  const nodeTypes = join(packageRoot, '../../node_modules/@types')
  const program = `
    import { StepcastClient, StepcastProblem, type FeedItem, type FeedPage } from '@stepcast/client'
    const page: FeedPage = { items: [], nextCursor: null }
    const fetching: typeof fetch = async () => Response.json(page)
    const client = new StepcastClient({ url: 'http://localhost:8080', token: async () => 'token', fetch: fetching })
    async function main(): Promise<void> {
      const titles: string[] = (await client.feed.list({ readState: 'unread' })).items.map((item: FeedItem) => item.content.title)
      const stop: () => void = client.feed.follow({ onItem: (item) => titles.push(item.content.title), onHidden: () => {} })
      stop()
      // @ts-expect-error there is no such state
      void client.feed.list({ readState: 'sleeping' }).catch(() => {})
      console.log(titles.length, typeof StepcastProblem)
    }
    void main()
  `

  it.each([
    ['an ES module in Node', 'consumer.mts', ['--module', 'nodenext', '--moduleResolution', 'nodenext', ...browser], 'consumer.mjs'],
    ['CommonJS in Node', 'consumer.cts', ['--module', 'nodenext', '--moduleResolution', 'nodenext', ...browser], 'consumer.cjs'],
    [
      'a server, which knows nothing of pages',
      'server.mts',
      ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--lib', 'es2022', '--typeRoots', nodeTypes, '--types', 'node'],
      'server.mjs',
    ],
    ['a bundler', 'bundled.ts', ['--module', 'preserve', '--moduleResolution', 'bundler', ...browser], 'bundled.js'],
  ])(
    'is compiled against strictly by %s, and runs',
    (_, source, settings, compiled) => {
      write(source, program)
      run(process.execPath, [tsc, '--strict', '--target', 'es2022', '--skipLibCheck', 'false', ...settings, source])
      expect(run(process.execPath, [compiled])).toBe('0 function\n')
    },
    180_000,
  )

  it('runs in a page as it is: every import of its modules is a file beside them', () => {
    const dist = join(folder, 'node_modules/@stepcast/client/dist')
    const modules = packed.files.flatMap(({ path }) => /^dist\/(.*\.mjs)$/.exec(path)?.[1] ?? [])
    for (const module of modules) {
      for (const [, imported] of readFileSync(join(dist, module), 'utf8').matchAll(/(?:from|import) ['"]([^'"]+)['"]/g)) {
        expect(modules.map((one) => `./${one}`)).toContain(imported)
      }
    }
  })
})
