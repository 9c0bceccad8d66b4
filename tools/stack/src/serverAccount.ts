// The account that PostgreSQL runs as when we are root, and what it needs in directories that only root may enter.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The account that runs the server, and the command that becomes it. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
  readonly command: string
  readonly args: readonly string[]
  /**
   * The working directory, as the account may always name it. It is entered before root's rights are given up, so that the data may lie in a
   * directory that only root may enter; its own name would lead through that.
   */
  readonly workingDirectory: '/proc/self/cwd'
}

/**
 * PostgreSQL refuses to run as root. When we are root it runs as an ordinary account without any of root's rights. Otherwise it runs as us.
 *
 * @throws Error as root without `setpriv` or such an account
 */
export async function serverAccount(): Promise<ServerAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const account = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody')
  const uid = Number(account?.[2])
  const gid = Number(account?.[3])
  if (account === undefined || !(await succeeds('setpriv', ['--version']))) {
    throw new Error(
      'PostgreSQL does not run as root, and this machine lacks setpriv (package util-linux) or the account "nobody" to run it ' +
        'as somebody else. Start as another user, or use a PostgreSQL of your own: DATABASE_URL=<url>.',
    )
  }
  return {
    uid,
    gid,
    command: 'setpriv',
    args: [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--inh-caps=-all', '--no-new-privs', '--'],
    workingDirectory: '/proc/self/cwd',
  }
}

/**
 * The binaries where the account may run them: where they are, or a copy (60 MB) outside of what only root may enter. A server finds its
 * libraries by its own name, which rules out the way the data go.
 *
 * @param native the directory with `bin`, `lib` and `share`
 */
export async function binariesFor(account: ServerAccount, native: string): Promise<string> {
  if (await mayRun(account, native)) return native
  for (const place of sharedPlaces()) {
    const copy = copied(native, place)
    if (await mayRun(account, copy)) return copy
  }
  throw new Error(
    `PostgreSQL does not run as root, and the account with the id ${account.uid} may neither enter ${native} nor a temporary directory ` +
      '(TMPDIR, /var/tmp, /tmp). Move the checkout, or use a PostgreSQL of your own: DATABASE_URL=<url>.',
  )
}

/** Gives the account a file of ours to read until `takeBack` is called. */
export function lentFile(account: ServerAccount, file: string): { readonly file: string; readonly takeBack: () => void } {
  const place = sharedPlaces().find((candidate) => (lstatSync(candidate).mode & 0o001) !== 0) ?? tmpdir()
  const directory = mkdtempSync(join(place, 'stepcast-lent-'))
  const lent = join(directory, 'file')
  copyFileSync(file, lent)
  chmodSync(lent, 0o400)
  for (const path of [lent, directory]) chownSync(path, account.uid, account.gid)
  return { file: lent, takeBack: () => rmSync(directory, { recursive: true, force: true }) }
}

/** Directories in which everybody finds a name of theirs; what survives a restart of the machine first. */
function sharedPlaces(): string[] {
  return [...new Set(['/var/tmp', tmpdir(), '/tmp'])].filter((place) => existsSync(place))
}

/**
 * A copy of the binaries that root alone may change. It is named by what they are, so that all checkouts of a version share it, and gets its
 * name when it is complete.
 */
function copied(native: string, place: string): string {
  const version = createHash('sha256').update(fingerprint(native)).digest('hex').slice(0, 12)
  const copy = join(place, `stepcast-postgres-${version}`)
  if (isWhole(copy, native)) return copy
  const fresh = mkdtempSync(join(place, 'stepcast-postgres-'))
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true })
  openToAll(fresh)
  try {
    // What is half gone (a cleaner of temporary files) gives way; what is not root's cannot, and everybody who asks has a copy of their own.
    if (isRoots(copy)) rmSync(copy, { recursive: true, force: true })
    renameSync(fresh, copy)
    return copy
  } catch {
    if (!isWhole(copy, native)) return fresh
    rmSync(fresh, { recursive: true, force: true })
    return copy
  }
}

/** Readable by everybody, also where the checkout was made under a strict umask. */
function openToAll(directory: string): void {
  for (const name of ['', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })]) {
    const path = join(directory, name)
    const entry = lstatSync(path)
    if (!entry.isSymbolicLink()) chmodSync(path, entry.isDirectory() || (entry.mode & 0o100) !== 0 ? 0o755 : 0o644)
  }
}

/** Names and sizes of the files: what a copy must have. */
function fingerprint(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const entry = lstatSync(join(directory, name))
      return `${name} ${entry.isFile() ? entry.size : '-'}\n`
    })
    .join('')
}

const isRoots = (path: string): boolean => {
  const entry = lstatSync(path, { throwIfNoEntry: false })
  // Under a name that anybody may choose first: nothing of somebody else's is run.
  return entry !== undefined && entry.isDirectory() && entry.uid === 0 && (entry.mode & 0o022) === 0
}

const isWhole = (copy: string, native: string): boolean => isRoots(copy) && fingerprint(copy) === fingerprint(native)

const mayRun = (account: ServerAccount, native: string): Promise<boolean> =>
  succeeds(account.command, [...account.args, join(native, 'bin', 'postgres'), '--version'])

function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return new Promise((done) => execFile(command, [...args], { cwd: '/' }, (error) => done(error === null)))
}
