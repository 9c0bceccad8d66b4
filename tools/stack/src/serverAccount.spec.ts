// As root PostgreSQL runs as somebody else, also from a directory that only root may enter.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brokerSettings } from './broker'
import { javaEnvironment } from './java'
import { binariesFor, lentFile, serverAccount } from './serverAccount'

const asRoot = process.getuid?.() === 0 ? it : it.skip
// A stand-in for the binaries: a program that says its version, and needs its library beside it.
const program = '#!/bin/sh\ncat "${0%/*}/../lib/version"\n'

describe('the account', () => {
  const hidden = mkdtempSync(join(tmpdir(), 'stepcast-hidden-'))
  const made: string[] = [hidden]
  afterAll(() => made.forEach((path) => rmSync(path, { recursive: true, force: true })))

  function binaries(name: string): string {
    const native = join(hidden, name)
    for (const folder of ['bin', 'lib']) execFileSync('mkdir', ['-p', join(native, folder)])
    writeFileSync(join(native, 'bin', 'postgres'), program, { mode: 0o700 })
    writeFileSync(join(native, 'lib', 'version'), `${name}\n`, { mode: 0o600 })
    return native
  }

  asRoot("has none of root's rights, and the working directory whoever may enter it", async () => {
    const account = (await serverAccount())!
    const run = (...command: string[]): string =>
      execFileSync(account.command, [...account.args, ...command], { cwd: hidden, stdio: ['ignore', 'pipe', 'ignore'] }).toString()
    expect(run('sh', '-c', 'id -u; grep CapEff /proc/self/status').split(/\s+/).slice(0, 3)).toEqual([
      String(account.uid),
      'CapEff:',
      '0000000000000000',
    ])
    expect(() => run('ls', hidden)).toThrow()
    const data = join(hidden, 'data')
    execFileSync('mkdir', [data])
    execFileSync('chown', [String(account.uid), data])
    execFileSync(account.command, [...account.args, 'touch', `${account.workingDirectory}/written`], { cwd: data })
    expect(existsSync(join(data, 'written'))).toBe(true)
  })

  asRoot(
    'runs binaries of a directory that only root may enter from one copy, which root alone may change and all checkouts share',
    async () => {
      const account = (await serverAccount())!
      const native = binaries(`a version ${process.pid}`)
      const copy = await binariesFor(account, native)
      made.push(copy)
      expect(copy).not.toBe(native)
      expect(statSync(copy)).toMatchObject({ uid: 0 })
      expect(statSync(copy).mode & 0o777).toBe(0o755)
      expect(execFileSync(account.command, [...account.args, join(copy, 'bin', 'postgres')], { cwd: '/' }).toString()).toBe(
        `a version ${process.pid}\n`,
      )
      cpSync(native, join(hidden, 'another checkout'), { recursive: true })
      expect(await binariesFor(account, join(hidden, 'another checkout'))).toBe(copy)
      // A cleaner of temporary files came by.
      rmSync(join(copy, 'lib', 'version'))
      expect(await binariesFor(account, native)).toBe(copy)
      expect(existsSync(join(copy, 'lib', 'version'))).toBe(true)
    },
  )

  asRoot('runs nothing that somebody else put under the name of the copy', async () => {
    const account = (await serverAccount())!
    const native = binaries(`another version ${process.pid}`)
    const copy = await binariesFor(account, native)
    made.push(copy)
    execFileSync('chown', ['-R', String(account.uid), copy])
    const own = await binariesFor(account, native)
    made.push(own)
    expect(own).not.toBe(copy)
    expect(statSync(own).uid).toBe(0)
  })

  asRoot('binaries that it may run are not copied', async () => {
    const native = binaries('open')
    chmodSync(hidden, 0o755)
    execFileSync('chmod', ['-R', 'a+rX', native])
    expect(await binariesFor((await serverAccount())!, native)).toBe(native)
    chmodSync(hidden, 0o700)
  })

  asRoot('reads a file of ours while it is lent', async () => {
    const account = (await serverAccount())!
    writeFileSync(join(hidden, 'secret'), 'x', { mode: 0o600 })
    const lent = lentFile(account, join(hidden, 'secret'))
    expect(execFileSync(account.command, [...account.args, 'cat', lent.file], { cwd: '/' }).toString()).toBe('x')
    expect(statSync(lent.file).mode & 0o077).toBe(0)
    lent.takeBack()
    expect(existsSync(lent.file)).toBe(false)
    expect(readFileSync(join(hidden, 'secret'), 'utf8')).toBe('x')
  })
})

describe('a directory whose name has other characters than ASCII', () => {
  it('is told to Java in UTF-8, whatever the locale', () =>
    expect(javaEnvironment({ LANG: 'C', PATH: '/bin' })).toEqual({ LANG: 'C', PATH: '/bin', LC_ALL: 'C.UTF-8' }))

  it("is escaped in the broker's settings, which Java reads as ISO-8859-1", () => {
    expect(brokerSettings({ data: '/tmp/스텝 é\\x', port: 1, controllerPort: 2 })).toContain('log.dirs=/tmp/\\uc2a4\\ud15d \\u00e9\\\\x\n')
  })
})
