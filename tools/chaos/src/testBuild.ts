// Makes a test build: a copy of the product with its failpoints alive and, for a mutant, something broken on purpose.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { checkout } from '@stepcast/local'

/** One change of a source: a text that occurs exactly once in it, and what stands there instead. */
export interface Edit {
  /** Below the checkout. */
  readonly file: string
  readonly text: string
  readonly instead: string
}

// A line of its own in the product's source; in a test build it is a call of what `preload.ts` defines.
const marker = /^([ \t]*)\/\/ failpoint(\(sync\))?: ([a-z-]+)$/gm

/** The source with its markers made calls. */
export const withFailpoints = (source: string): string =>
  source.replace(
    marker,
    (_, indent: string, sync: string | undefined, name: string) =>
      `${indent};${sync === undefined ? 'await ' : ''}(globalThis as any).stepcastFailpoint?.('${name}')`,
  )

/** The names of the failpoints in a source. */
export const failpointsOf = (source: string): string[] => [...source.matchAll(marker)].map(([, , , name]) => name!)

/**
 * The source with the edits.
 * @throws Error when a text does not occur exactly once: the product has changed, and the mutant must follow
 */
export function edited(source: string, edits: readonly Edit[]): string {
  return edits.reduce((text, edit) => {
    const parts = text.split(edit.text)
    if (parts.length !== 2) throw new Error(`${edit.file} holds ${parts.length - 1} times, not once:\n${edit.text}`)
    return parts.join(edit.instead)
  }, source)
}

const groups = ['libs', 'apps'] as const
const leftOut = new Set(['dist', 'node_modules'])

/** Sources that are copied: everything of a package but what is built from it, specs aside. */
function sourcesOf(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (leftOut.has(entry.name) || entry.name.endsWith('.spec.ts')) return []
    const path = join(directory, entry.name)
    return entry.isDirectory() ? sourcesOf(path) : [path]
  })
}

/** Every source of the product, relative to the checkout. */
export const productSources = (): string[] =>
  groups.flatMap((group) => sourcesOf(join(checkout, group))).map((path) => relative(checkout, path))

/** Compiles what has changed below a root; the same program and settings as the product's own build. */
function compile(root: string): Promise<void> {
  return new Promise((done, fail) => {
    const build = spawn(process.execPath, [join(checkout, 'tools', 'build.mjs'), '--quiet', '--root', root], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    build.stdout.on('data', (part: Buffer) => (said += part))
    build.stderr.on('data', (part: Buffer) => (said += part))
    build.once('close', (code) => (code === 0 ? done() : fail(new Error(`the test build failed:\n${said}`))))
  })
}

/** The folder of the test build: inside the checkout, so that packages of the registry are found by walking upwards. */
const buildRoot = join(checkout, '.stepcast-chaos', 'build')

/**
 * Brings the test build up to date with the checkout and these edits; only what differs is written and compiled.
 * @returns the directory of its services
 */
export async function makeTestBuild(edits: readonly Edit[], root = buildRoot): Promise<string> {
  const sources = productSources()
  for (const file of sources) {
    const original = readFileSync(join(checkout, file), 'utf8')
    const wanted = file.endsWith('.ts')
      ? withFailpoints(
          edited(
            original,
            edits.filter((edit) => edit.file === file),
          ),
        )
      : original
    const target = join(root, file)
    if (existsSync(target) && readFileSync(target, 'utf8') === wanted) continue
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, wanted)
  }
  const kept = new Set(sources)
  for (const group of groups) {
    if (!existsSync(join(root, group))) continue
    for (const path of sourcesOf(join(root, group))) if (!kept.has(relative(root, path))) rmSync(path)
  }
  linkLibraries(root)
  await compile(root)
  return join(root, 'apps')
}

function linkLibraries(root: string): void {
  const links = join(root, 'node_modules', '@stepcast')
  mkdirSync(links, { recursive: true })
  for (const library of readdirSync(join(root, 'libs'))) {
    const link = join(links, library)
    if (!existsSync(link) && statSync(join(root, 'libs', library)).isDirectory()) symlinkSync(join('..', '..', 'libs', library), link)
  }
}
