// What an account must look like, and that no error tells what a secret was.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { apnsAccount, fcmAccount, hintOf, providerNames, providers, solapiAccount, twilioAccount } from './account'
import { AccountSeal } from './sealed'

const pem = ({ privateKey }: { privateKey: KeyObject }): string => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsaKey = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const ec = (namedCurve: string): string => pem(generateKeyPairSync('ec', { namedCurve }))

const accounts = {
  fcm: { serviceAccount: { project_id: 'shop-1', client_email: 'a@shop-1.iam.gserviceaccount.com', private_key: rsaKey } },
  apns: {
    teamId: 'ABCDE12345',
    keyId: 'KEY1234567',
    privateKey: ec('P-256'),
    topic: 'com.example.shop',
    environment: 'production' as const,
  },
  twilio: { accountSid: `AC${'0a'.repeat(16)}`, authToken: 'f'.repeat(32), from: '+15005550006' },
  solapi: { apiKey: 'NCSAPIKEY1234567', apiSecret: 's'.repeat(32), webhookSecret: 'w'.repeat(20) },
}

describe('an account', () => {
  it.each(providerNames)('of %s is taken as its provider gives it', (provider) => {
    expect(providers[provider].account.parse(accounts[provider])).toEqual(accounts[provider])
  })

  it("keeps of Google's file what sending needs", () => {
    const file = { ...accounts.fcm.serviceAccount, type: 'service_account', client_id: '1', token_uri: 'https://elsewhere.example/token' }
    expect(fcmAccount.parse({ serviceAccount: file })).toEqual(accounts.fcm)
  })

  it('needs the kind of key its provider signs with', () => {
    const withKey = (privateKey: string) => apnsAccount.safeParse({ ...accounts.apns, privateKey })
    expect(withKey(ec('P-384')).success).toBe(false)
    expect(withKey(rsaKey).success).toBe(false)
    expect(fcmAccount.safeParse({ serviceAccount: { ...accounts.fcm.serviceAccount, private_key: ec('P-256') } }).success).toBe(false)
  })

  it('of Twilio has exactly one sender: a number, a short code, a name, or a messaging service', () => {
    const { accountSid, authToken } = accounts.twilio
    const messagingServiceSid = `MG${'1'.repeat(32)}`
    const isTaken = (sender: object): boolean => twilioAccount.safeParse({ accountSid, authToken, ...sender }).success
    const good = [{ from: '+15005550006' }, { from: '12345' }, { from: 'My Shop' }, { messagingServiceSid }]
    const bad = [{}, { from: '+0123' }, { from: 'a name too long' }, { from: '+15005550006', messagingServiceSid }]
    expect([...good, ...bad].map(isTaken)).toEqual([...good.map(() => true), ...bad.map(() => false)])
  })

  it('that is wrong is told without any of its values', () => {
    const secret = 'canary canary'
    const wrong = [
      fcmAccount.safeParse({ serviceAccount: { project_id: secret, client_email: secret, private_key: secret } }),
      fcmAccount.safeParse({ serviceAccount: secret }),
      apnsAccount.safeParse({ teamId: secret, keyId: secret, privateKey: secret, topic: secret, environment: secret }),
      twilioAccount.safeParse({ accountSid: secret, authToken: secret, from: `${secret}!` }),
      solapiAccount.safeParse({ apiKey: secret, apiSecret: secret, webhookSecret: secret }),
    ]
    for (const { success, error } of wrong) {
      expect(success).toBe(false)
      expect(JSON.stringify(error!.issues.map(({ message }) => message))).not.toContain('canary')
    }
  })
})

describe('a sealed account', () => {
  const seal = new AccountSeal('an installation secret')

  it.each(providerNames)('of %s opens for its own workspace and provider only, and shows nothing but its hint', (provider) => {
    const sealed = seal.close('demo', provider, accounts[provider] as never)
    expect(seal.open('demo', provider, sealed)).toEqual(accounts[provider])
    expect(() => seal.open('other', provider, sealed)).toThrow(`other/${provider} does not open`)
    expect(() => seal.open('demo', provider === 'fcm' ? 'apns' : 'fcm', sealed)).toThrow('does not open')
    expect(() => new AccountSeal('another').open('demo', provider, sealed)).toThrow('does not open')
    expect(JSON.stringify(accounts[provider])).toContain(hintOf(provider, accounts[provider] as never))
  })
})
