// Secrets of one data directory: made at random at the first start, kept in files that only their owner reads.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
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

/** What the services trust each other's calls by: 32 random bytes in hex. */
export function internalSecret(home: string): string {
  return kept(join(home, 'secrets', 'internal'), () => randomBytes(32).toString('hex'))
}

/** The key that makes workspaces. */
export function rootKey(home: string): string {
  return kept(join(home, 'secrets', 'root-key'), () => `rk_${randomBytes(24).toString('base64url')}`)
}

/**
 * Writes a Google service account whose tokens the provider sandbox gives out, in the format of the file that Google's
 * console gives for a real one, so that the push dispatcher signs in locally exactly as it does in production.
 *
 * @returns the file's path, as for `FCM_SERVICE_ACCOUNT_FILE`
 */
export function serviceAccountFile(home: string, sandboxUrl: string): string {
  // The key is kept and the rest written anew: the sandbox may have another port this time.
  const privateKey = kept(join(home, 'secrets', 'fcm-private-key.pem'), () =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  )
  const file = join(home, 'secrets', 'fcm-service-account.json')
  const account = {
    type: 'service_account',
    project_id: 'stepcast-local',
    private_key_id: 'stepcast-local',
    private_key: `${privateKey}\n`,
    client_email: 'stepcast@stepcast-local.iam.gserviceaccount.com',
    client_id: '1',
    token_uri: `${sandboxUrl}/token`,
  }
  writePrivately(file, `${JSON.stringify(account, null, 2)}\n`)
  return file
}
