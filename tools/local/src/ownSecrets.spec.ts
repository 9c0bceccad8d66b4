// A secret is handed to whom it is for.
import { readersOfSecrets, withOwnSecrets } from './ownSecrets'
import { serviceKinds } from './services'

const everything = {
  ...Object.fromEntries(Object.keys(readersOfSecrets).map((name) => [name, 'x'])),
  HOST: '127.0.0.1',
  KAFKA_BROKERS: 'a:1',
  PATH: '/bin',
}
const secretsOf = (service: string): string[] =>
  Object.keys(withOwnSecrets(service, everything))
    .filter((name) => name in readersOfSecrets)
    .sort()

it("the provider sandbox has none of the product's, and no way to its database", () => {
  expect(secretsOf('provider-sandbox')).toEqual(['SANDBOX_SECRET'])
})

it('only the gateway knows the root key', () => {
  expect(serviceKinds.filter(({ name }) => secretsOf(name).includes('STEPCAST_ROOT_KEY')).map(({ name }) => name)).toEqual(['gateway'])
})

it('what is sealed at rest is opened by those that seal it', () => {
  expect(secretsOf('orchestrator')).not.toContain('STEPCAST_ENCRYPTION_KEY')
  expect(secretsOf('sms-dispatcher')).toContain('STEPCAST_ENCRYPTION_KEY')
})

it('nobody is handed the keys of those who call', () => {
  for (const { name } of serviceKinds) expect(secretsOf(name)).not.toEqual(expect.arrayContaining(['STEPCAST_API_KEY']))
})

it("the rest is everybody's", () => {
  for (const { name } of serviceKinds)
    expect(withOwnSecrets(name, everything)).toMatchObject({ HOST: '127.0.0.1', KAFKA_BROKERS: 'a:1', PATH: '/bin' })
})
