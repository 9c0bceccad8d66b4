// The sandbox's accounts have the form of real ones, and a data directory keeps its own.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { providerNames, providers } from '@stepcast/accounts'
import { keptAccounts, sandboxAccounts } from './providerAccounts'

it('pass the checks that real accounts pass, every time', () => {
  for (let i = 0; i < 3; i++) {
    const accounts = sandboxAccounts()
    for (const name of providerNames) expect(providers[name].account.parse(accounts[name])).toEqual(accounts[name])
  }
})

it('are the same at every start of a data directory, and for its owner only', () => {
  const home = mkdtempSync(join(tmpdir(), 'stepcast-accounts-'))
  expect(keptAccounts(home)).toEqual(keptAccounts(home))
  expect(statSync(join(home, 'secrets', 'provider-accounts.json')).mode & 0o077).toBe(0)
  rmSync(home, { recursive: true })
})
