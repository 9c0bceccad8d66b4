// docker-compose.yml, as far as it can be judged without a Docker engine: what is published, who has which secret, what is waited for.
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, YAML11_SCHEMA } from 'js-yaml'
import { readersOfSecrets } from './ownSecrets'
import { serviceKinds } from './services'
import { checkout } from './settings'

interface Service {
  readonly image: string
  readonly build?: string
  readonly pull_policy?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly restart?: string
  readonly mem_limit?: string
  readonly healthcheck?: Readonly<Record<string, unknown>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly profiles?: readonly string[]
}

const text = readFileSync(join(checkout, 'docker-compose.yml'), 'utf8')
const read = (file: string) =>
  load(readFileSync(join(checkout, file), 'utf8'), { schema: YAML11_SCHEMA }) as { services: Record<string, Service> }
const { services } = read('docker-compose.yml')
/** They do something and end. */
const once = ['set-up', 'certificate', 'demo']
const ours = Object.entries(services).filter(([, { image }]) => image === 'stepcast')
const environmentOf = (name: string): Readonly<Record<string, string | number>> => services[name]!.environment ?? {}

// ── What the code reads ──────────────────────────────────────────────────────────────────────────────────────────────────────

const codeOf = (folder: string): string =>
  readdirSync(join(checkout, folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.ts$/.test(file) && !/\.(spec|features)\.ts$|(^|\/)testing\.ts$/.test(file))
    .map((file) => readFileSync(join(checkout, folder, 'src', file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''))
    .join('\n')
const importsOf = (code: string): string[] =>
  [...code.matchAll(/from '@stepcast\/([a-z]+)'/g)].map(([, name]) => name!).filter((name) => name !== 'testing')

/** The libraries that a service is made of. */
function librariesOf(service: string): Set<string> {
  const found = new Set<string>()
  const follow = (code: string): void => {
    for (const name of importsOf(code)) {
      if (found.has(name) || !existsSync(join(checkout, 'libs', name))) continue
      found.add(name)
      follow(codeOf(`libs/${name}`))
    }
  }
  follow(codeOf(`apps/${service}`))
  return found
}

/** Node reads these itself. */
const ofNode = ['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS']
const namesIn = (code: string, name: string): boolean => new RegExp(`\\b${name}\\b`).test(code)

it('runs every service of the local system, each by its own program', () => {
  for (const { name } of serviceKinds) expect(services[name]?.command).toEqual(['node', `apps/${name}/dist/main.js`])
  for (const name of once) {
    const [, program] = services[name]!.command!
    expect(existsSync(join(checkout, program!.replace('/dist/', '/src/').replace(/\.js$/, '.ts')))).toBe(true)
  }
  expect(ours.map(([name]) => name).sort()).toEqual([...serviceKinds.map(({ name }) => name), ...once].sort())
})

it("publishes the gateway, and the sandbox's page to this machine; nothing else", () => {
  const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`))
  expect(published).toEqual(['gateway 8080:8080', 'gateway 8090:8090', 'provider-sandbox 127.0.0.1:8091:8080'])
  expect(text).not.toMatch(/network_mode|privileged/)
})

it('has no secret of its own: each comes from .env or compose refuses', () => {
  const secrets = /PASSWORD|SECRET|ROOT_KEY|ENCRYPTION_KEY$/
  for (const { environment = {} } of Object.values(services)) {
    for (const [name, value] of Object.entries(environment)) {
      if (secrets.test(name)) expect(value).toMatch(/^\$\{[A-Z_]+:\?[^}]+\}$/)
      // One within an address.
      for (const [, user, password] of String(value).matchAll(/:\/\/([^:/@]+):([^@]+)@/g))
        expect(`${user} ${password}`).toMatch(/^\w+ \$\{[A-Z_]+:\?[^}]+\}$/)
    }
  }
  const named = [...text.matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name]) => name!)
  const example = readFileSync(join(checkout, '.env.example'), 'utf8')
  const made = [...example.matchAll(/^([A-Z_]+)=random$/gm)].map(([, name]) => name!)
  expect([...new Set(named)].sort()).toEqual(made.sort())
  const optional = [...text.matchAll(/\$\{([A-Z_]+):-/g)].map(([, name]) => name!)
  for (const name of optional) expect(example).toMatch(new RegExp(`^${name}=`, 'm'))
})

it.each(serviceKinds.map(({ name }) => name))("%s is given what its code reads, and no secret that is another's", (name) => {
  const own = codeOf(`apps/${name}`)
  const libraries = librariesOf(name)
  const everything = [own, ...[...libraries].map((library) => codeOf(`libs/${library}`))].join('\n')
  const given = environmentOf(name)
  for (const variable of Object.keys(given)) {
    if (!ofNode.includes(variable)) expect(namesIn(everything, variable) ? variable : `nobody reads ${variable}`).toBe(variable)
    expect(readersOfSecrets[variable] ?? [name]).toContain(name)
  }
  if (name === 'provider-sandbox') return
  const needed = [
    'KAFKA_BROKERS',
    'SCHEMA_REGISTRY_URL',
    'DATABASE_URL',
    'STEPCAST_INTERNAL_SECRET',
    ...[...own.matchAll(/\b[A-Z]+(?:_[A-Z]+)*_(?:URL|ENDPOINT)\b/g)]
      .map(([variable]) => variable)
      .filter((variable) => variable !== 'DATABASE_URL'),
    ...(readersOfSecrets['STEPCAST_ENCRYPTION_KEY']!.includes(name) ? ['STEPCAST_ENCRYPTION_KEY'] : []),
    ...(libraries.has('channel') ? ['STEPCAST_PUBLIC_URL'] : []),
    ...(name.endsWith('-dispatcher') || namesIn(own, 'STEPCAST_MINUTE_MS') ? ['STEPCAST_MINUTE_MS'] : []),
    ...(namesIn(own, 'STEPCAST_ROOT_KEY') ? ['STEPCAST_ROOT_KEY'] : []),
  ]
  expect(Object.keys(given)).toEqual(expect.arrayContaining(needed))
})

it('whoever runs on is asked whether it works, patiently, and is bounded; the set-up waits for what it needs', () => {
  for (const [name, { healthcheck, restart, mem_limit: memory }] of Object.entries(services)) {
    expect(`${name} ${memory}`).toMatch(/ \d+[mg]$/)
    expect(`${name} ${restart}`).toMatch(once.includes(name) ? / on-failure:\d+$/ : / unless-stopped$/)
    if (!once.includes(name)) {
      expect(healthcheck).toEqual({
        test: expect.any(Array),
        interval: expect.stringMatching(/^\d+s$/),
        timeout: expect.stringMatching(/^\d+s$/),
        retries: expect.any(Number),
        start_period: expect.stringMatching(/^\d+s$/),
      })
    }
  }
  for (const [name] of ours) expect(environmentOf(name)['NODE_OPTIONS']).toMatch(/--max-old-space-size=\d+/)
  for (const [, { depends_on: others = {} }] of Object.entries(services)) {
    for (const [name, { condition }] of Object.entries(others)) {
      expect(`${name} ${condition}`).toBe(`${name} ${once.includes(name) ? 'service_completed_successfully' : 'service_healthy'}`)
    }
  }
  expect(Object.keys(services['set-up']!.depends_on!)).toEqual(['kafka', 'registry'])
  expect(services['postgres']!.command!.join(' ')).toContain('max_connections=200')
})

it('builds one image and pulls the others by exact tags', () => {
  expect(ours.filter(([, { build }]) => build !== undefined).map(([name]) => name)).toEqual(['set-up'])
  for (const [name, { pull_policy: pull }] of ours) expect(`${name} ${pull}`).toBe(`${name} never`)
  const images = Object.values(services)
    .map(({ image }) => image)
    .filter((image) => image !== 'stepcast')
  const froms = [...readFileSync(join(checkout, 'Dockerfile'), 'utf8').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image!)
  for (const image of [...images, ...froms]) expect(image).toMatch(/:\d+\.\d+(\.\d+)?(-slim)?$|@sha256:[0-9a-f]{64}$/)
})

it('leads to the sandbox, and by one line in .env to the providers', () => {
  const endpoints = {
    'push-dispatcher': ['FCM_ENDPOINT', 'FCM_TOKEN_ENDPOINT', 'APNS_ENDPOINT'],
    'sms-dispatcher': ['TWILIO_ENDPOINT'],
    'messenger-dispatcher': ['SOLAPI_ENDPOINT'],
  }
  const real = read('docker/real-providers.yml').services
  for (const [name, variables] of Object.entries(endpoints)) {
    for (const variable of variables) {
      expect(environmentOf(name)[variable]).toMatch(/^https?:\/\/provider-sandbox:\d+/)
      expect(real[name]!.environment![variable]).toBe('')
    }
  }
  expect([real['provider-sandbox']!.profiles, real['demo']!.profiles]).toEqual([['sandbox'], ['sandbox']])
  expect(readFileSync(join(checkout, '.env.example'), 'utf8')).toMatch(/^# COMPOSE_FILE=docker-compose\.yml:docker\/real-providers\.yml$/m)
  // The push dispatcher trusts the certificate that the sandbox shows under the name it is called by.
  expect(services['certificate']!.command).toEqual(['node', 'tools/local/dist/makeCertificate.js', '/certificate', 'provider-sandbox'])
  expect(environmentOf('push-dispatcher')['NODE_EXTRA_CA_CERTS']).toBe(environmentOf('provider-sandbox')['SANDBOX_CERT_FILE'])
})

describe('docker/make-env.sh', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stepcast-env-'))
    for (const name of ['docker', '.env.example']) cpSync(join(checkout, name), join(folder, name), { recursive: true })
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const make = (): string => execFileSync('sh', [join(folder, 'docker', 'make-env.sh')], { encoding: 'utf8' })
  const made = (): string => readFileSync(join(folder, '.env'), 'utf8')

  it('writes every secret, each another, for its owner only; a second time it leaves all as it is', () => {
    make()
    const secrets = [...made().matchAll(/^[A-Z_]+=([0-9a-f]{64})$/gm)].map(([, secret]) => secret)
    expect(secrets).toHaveLength(6)
    expect(new Set(secrets).size).toBe(6)
    expect(made()).not.toMatch(/=random$/m)
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600)
    const before = made()
    expect(make()).toContain('stays as it is')
    expect(made()).toBe(before)
    expect(readdirSync(folder).sort()).toEqual(['.env', '.env.example', 'docker'])
  })

  it('of several at a time one wins and the others change nothing', async () => {
    const run = (): Promise<number | null> =>
      new Promise((done) => spawn('sh', [join(folder, 'docker', 'make-env.sh')], { stdio: 'ignore' }).once('exit', done))
    const codes = await Promise.all(Array.from({ length: 8 }, run))
    expect(codes).toContain(0)
    expect([...made().matchAll(/=[0-9a-f]{64}$/gm)]).toHaveLength(6)
    expect(readdirSync(folder).sort()).toEqual(['.env', '.env.example', 'docker'])
  })

  it('what it wrote is neither committed nor put into the image', () => {
    expect(readFileSync(join(checkout, '.gitignore'), 'utf8').split('\n')).toContain('.env')
    expect(readFileSync(join(checkout, '.dockerignore'), 'utf8').split('\n')).toContain('.env*')
  })
})
