// Which account a workspace sends with: opened once, changed within a second, never missed when it was given before the question.
import { AccountSeal, type AccountOf } from '@stepcast/accounts'
import { silentLog } from '@stepcast/kafka'
import type { WorkspaceSettings } from '@stepcast/replica'
import { Accounts } from './accounts'
import type { Outcome, Provider, ProviderKind } from './provider'

const seal = new AccountSeal('secret')
const twilio = (authToken: string): AccountOf['twilio'] => ({
  accountSid: `AC${'0'.repeat(32)}`,
  authToken: authToken.padEnd(16, '.'),
  from: '+15005550006',
})
const settingsWith = (sealed: string): WorkspaceSettings => ({ providers: { twilio: { sealed, updatedAt: '' } } })
const sealed = (workspaceId: string, token: string): string => seal.close(workspaceId, 'twilio', twilio(token))
const accepted: Outcome = { kind: 'accepted', providerMessageId: null }

/** A topic and the table that follows it: what is told is in the table once somebody has waited for it. */
class Workspaces {
  readonly told = new Map<string, WorkspaceSettings>()
  private readonly table = new Map<string, WorkspaceSettings>()
  loads = 0

  async caughtUp(): Promise<void> {
    for (const [workspaceId, settings] of this.told) this.table.set(workspaceId, settings)
  }
  async load(workspaceIds: readonly string[]): Promise<ReadonlyMap<string, WorkspaceSettings>> {
    this.loads++
    return new Map(workspaceIds.flatMap((id) => (this.table.has(id) ? [[id, this.table.get(id)!]] : [])))
  }
}

describe('the account of a workspace', () => {
  let workspaces: Workspaces
  let accounts: Accounts<'sms'>
  let opened: string[]
  let closed: string[]
  let now = 0

  beforeEach(() => {
    now = 0
    jest.spyOn(performance, 'now').mockImplementation(() => now)
    workspaces = new Workspaces()
    opened = []
    closed = []
    const kind: ProviderKind<'sms', 'twilio'> = {
      name: 'twilio',
      open: ({ authToken }, { workspaceId }): Provider<'sms'> => {
        const name = `${workspaceId} ${authToken.replace(/\.+$/, '')}`
        opened.push(name)
        return { name: 'twilio', send: async () => accepted, close: async () => void closed.push(name) }
      },
      close: async () => void closed.push('kind'),
    }
    accounts = new Accounts({ workspaces, seal, kinds: [kind], connections: 1, minuteMs: 1, log: silentLog })
  })
  afterEach(() => jest.restoreAllMocks())

  it('that was given before the question is found, however far behind the table is', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    expect(await accounts.providersOf(new Map([['a', new Set(['twilio'])]]))).toEqual(new Map([['a', new Set(['twilio'])]]))
    expect((await accounts.open('twilio', ['a'])).get('a')).toMatchObject({ name: 'twilio' })
    expect(opened).toEqual(['a one'])
  })

  it('is asked for each time while there is none', async () => {
    expect((await accounts.open('twilio', ['a'])).get('a')).toBe('channel_disabled')
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    expect((await accounts.open('twilio', ['a'])).get('a')).toMatchObject({ name: 'twilio' })
  })

  it('is opened once and kept while its text is the same', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    const first = (await accounts.open('twilio', ['a'])).get('a')
    now = 5_000
    expect((await accounts.open('twilio', ['a'])).get('a')).toBe(first)
    expect(opened).toEqual(['a one'])
  })

  it('given anew is used within a second, and the old one closed', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    await accounts.open('twilio', ['a'])
    workspaces.told.set('a', settingsWith(sealed('a', 'two')))
    await workspaces.caughtUp()
    now = 900
    await accounts.open('twilio', ['a'])
    expect(opened).toEqual(['a one'])
    now = 1_000
    await accounts.open('twilio', ['a'])
    expect([opened, closed]).toEqual([['a one', 'a two'], ['a one']])
  })

  it('is read from the table at most once a second', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    await accounts.open('twilio', ['a'])
    const before = workspaces.loads
    for (now = 0; now < 900; now += 10) await accounts.open('twilio', ['a'])
    expect(workspaces.loads).toBe(before)
    expect(opened).toHaveLength(1)
  })

  it('that nobody uses is closed after ten minutes, and opened again when needed', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    workspaces.told.set('b', settingsWith(sealed('b', 'one')))
    await accounts.open('twilio', ['a', 'b'])
    now = 500_000
    await accounts.open('twilio', ['b'])
    now = 700_000
    await accounts.open('twilio', ['b'])
    expect(closed).toEqual(['a one'])
    await accounts.open('twilio', ['a'])
    expect(opened).toEqual(['a one', 'b one', 'a one'])
  })

  it("that cannot be opened, being another workspace's or under another key, sends nothing and waits to be mended", async () => {
    workspaces.told.set('a', settingsWith(sealed('b', 'one')))
    const provider = (await accounts.open('twilio', ['a'])).get('a') as Provider<'sms'>
    expect(await provider.send({} as never, {} as never)).toEqual({ kind: 'retry', reason: 'account_unreadable', afterMs: null })
    expect(opened).toEqual([])
  })

  it('of one provider does not stand in for that of another', async () => {
    workspaces.told.set('a', { providers: { fcm: { sealed: 'x', updatedAt: '' } } })
    expect((await accounts.open('twilio', ['a'])).get('a')).toBe('channel_disabled')
  })

  it('is closed with the process, and then the connections', async () => {
    workspaces.told.set('a', settingsWith(sealed('a', 'one')))
    await accounts.open('twilio', ['a'])
    await accounts.close()
    expect(closed).toEqual(['a one', 'kind'])
  })
})
