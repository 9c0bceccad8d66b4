// Secrets of one data directory: made at random at the first start, kept in files that only their owner reads.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Writes a file that only its owner reads, whole or not at all. */
export function writePrivately(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(`${file}.new`, content, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

function kept(file: string, make: () => string): string {
  if (!existsSync(file)) writePrivately(file, `${make()}\n`)
  return readFileSync(file, 'utf8').trim()
}

/** Where a data directory keeps {@link internalSecret}. */
export const internalSecretFile = (home: string): string => join(home, 'secrets', 'internal')

/** The internal secret that a data directory has; undefined where none was made yet, or where it was lost. */
export function keptInternalSecret(home: string): string | undefined {
  const file = internalSecretFile(home)
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
}

/** What the services trust each other's calls by: 32 random bytes in hex. */
export function internalSecret(home: string): string {
  return kept(internalSecretFile(home), () => randomBytes(32).toString('hex'))
}

/** The key that makes workspaces. */
export function rootKey(home: string): string {
  return kept(join(home, 'secrets', 'root-key'), () => `rk_${randomBytes(24).toString('base64url')}`)
}
