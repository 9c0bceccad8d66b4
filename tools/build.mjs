// Compiles every package's src/**/*.ts to its dist by swc, in one process, leaving alone what is newer than its source: to CommonJS, and
// beside it to ES modules (`.mjs`) where the package's exports offer one, for browsers.
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformFile } from '@swc/core'

const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '..')
// `--root <directory>`: builds the packages of a copy of the checkout instead, as the chaos tool does with its test builds.
const rootAt = process.argv.indexOf('--root') + 1
const root = rootAt > 0 ? resolve(process.argv[rootAt]) : checkout
const groups = ['libs', 'apps', 'tools']

/** Every file below a directory as a path relative to it; none when there is no such directory. */
async function filesBelow(directory) {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(directory, join(entry.parentPath ?? entry.path, entry.name)))
}

const modifiedAt = async (file) => (await stat(file).catch(() => undefined))?.mtimeMs ?? 0

async function packageDirectories() {
  const directories = []
  for (const group of groups) {
    const entries = await readdir(join(root, group), { withFileTypes: true }).catch(() => [])
    for (const entry of entries) if (entry.isDirectory()) directories.push(join(root, group, entry.name))
  }
  return directories
}

/** Whether a package's exports name an ES module of ours. */
async function offersModules(directory) {
  const manifest = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8').catch(() => '{}'))
  const module = manifest.exports?.['.']?.import
  return (module?.default ?? module)?.endsWith('.mjs') ?? false
}

// A browser resolves nothing: './feed' must be './feed.mjs'.
const withEndings = (code) => code.replace(/\b(from|import) (['"])(\.{1,2}\/[^'"]+)\2/g, '$1 $2$3.mjs$2')

// Specs, suites that several of them run, and what only they use.
const isProduct = (file) => /(?<!\.d|\.spec|\.features|\.fixtures)\.ts$/.test(file) && !/(^|\/)testing\.ts$/.test(file)

/** The compiled files a package should have, with their sources, and the outputs nobody asks for any more. */
async function planOf(directory) {
  const sources = (await filesBelow(join(directory, 'src'))).filter(isProduct)
  const endings = (await offersModules(directory)) ? ['.js', '.mjs'] : ['.js']
  const wanted = sources.flatMap((file) =>
    endings.map((ending) => ({
      source: join(directory, 'src', file),
      output: join(directory, 'dist', file.replace(/\.ts$/, ending)),
    })),
  )
  // A package without TypeScript may fill its dist by other means, as the dashboard does.
  if (sources.length === 0) return { wanted, stale: [] }
  const expected = new Set(wanted.flatMap(({ output }) => [output, `${output}.map`]))
  const stale = (await filesBelow(join(directory, 'dist')))
    .filter((file) => /\.m?js(\.map)?$/.test(file))
    .map((file) => join(directory, 'dist', file))
    .filter((file) => !expected.has(file))
  return { wanted, stale }
}

/**
 * Compiles what has changed. A change of the compiler's settings compiles everything.
 *
 * @returns how many files were compiled, how many outputs without a source were removed
 */
async function build() {
  const settings = join(checkout, '.swcrc')
  const settingsAt = Math.max(await modifiedAt(settings), await modifiedAt(fileURLToPath(import.meta.url)))
  const options = { ...JSON.parse(await readFile(settings, 'utf8')), swcrc: false, configFile: false }
  const plans = await Promise.all((await packageDirectories()).map(planOf))

  const stale = plans.flatMap((plan) => plan.stale)
  await Promise.all(stale.map((file) => rm(file, { force: true })))

  const wanted = plans.flatMap((plan) => plan.wanted)
  let compiled = 0
  const failures = []
  const next = wanted.values()
  const work = async () => {
    for (const { source, output } of next) {
      if ((await modifiedAt(output)) > Math.max(await modifiedAt(source), settingsAt)) continue
      try {
        const asModule = output.endsWith('.mjs')
        const settingsOf = asModule ? { ...options, module: { type: 'es6' } } : options
        const { code, map } = await transformFile(source, { ...settingsOf, sourceFileName: relative(dirname(output), source) })
        await mkdir(dirname(output), { recursive: true })
        if (map !== undefined) await writeFile(`${output}.map`, map)
        const link = map === undefined ? '' : `\n//# sourceMappingURL=${output.slice(output.lastIndexOf('/') + 1)}.map\n`
        await writeFile(output, (asModule ? withEndings(code) : code) + link)
        compiled++
      } catch (error) {
        failures.push(`${relative(root, source)}: ${error.message}`)
      }
    }
  }
  // swc compiles on threads of its own: a few files in flight for each core keep them busy.
  await Promise.all(Array.from({ length: availableParallelism() * 4 }, work))
  if (failures.length > 0) throw new Error(failures.join('\n'))
  return { compiled, removed: stale.length }
}

const begin = Date.now()
try {
  const { compiled, removed } = await build()
  if (compiled + removed > 0 || !process.argv.includes('--quiet')) {
    console.error(`Built ${compiled} files, removed ${removed}, in ${((Date.now() - begin) / 1000).toFixed(1)} s.`)
  }
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
