// One version of the services at work on servers that it shares with another.
import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Stack } from '@stepcast/stack'
import type { Order, Word } from './runner'

/** What both versions have in common. */
export interface Common {
  readonly stack: Stack
  readonly home: string
  readonly minuteMs: number
  readonly partitions: number
  readonly rootKey: string
  readonly internalSecret: string
}

/** Services of one tree that run. */
export interface Release {
  readonly name: string
  /** Its gateway. */
  readonly url: string
  readonly sandboxUrl: string
  /** What its supervisor said of services that ended by themselves. */
  readonly crashes: readonly string[]
  stop(): Promise<void>
}

const everything = [
  'template-svc',
  'people-svc',
  'send-svc',
  'orchestrator',
  'inapp-dispatcher',
  'push-dispatcher',
  'sms-dispatcher',
  'messenger-dispatcher',
  'metrics-svc',
  'gateway',
]

/** Where the sandbox is, and the certificate of its TLS address. */
export interface SandboxAt {
  readonly url: string
  readonly tlsUrl: string
  readonly certFile: string
}

/** Starts the provider sandbox of a tree alone; it outlives the services of both. */
export async function startSandbox(
  root: string,
  common: Common,
  ports: { http: number; tls: number },
): Promise<Release & { readonly at: SandboxAt }> {
  const home = join(common.home, 'sandbox')
  const release = await begin('sandbox', root, {
    ...optionsOf(common, home),
    services: ['provider-sandbox'],
    ports: { sandbox: ports.http, sandboxTls: ports.tls },
  })
  return {
    ...release,
    at: { url: release.sandboxUrl, tlsUrl: `https://localhost:${ports.tls}`, certFile: join(home, 'secrets', 'sandbox-cert.pem') },
  }
}

/** Starts all services of a tree beside whatever runs on the same servers. */
export function startRelease(name: string, root: string, common: Common, sandbox: SandboxAt): Promise<Release> {
  return begin(name, root, {
    ...optionsOf(common, join(common.home, name)),
    services: everything,
    env: {
      STEPCAST_INTERNAL_SECRET: common.internalSecret,
      STEPCAST_SANDBOX_URL: sandbox.url,
      FCM_ENDPOINT: sandbox.tlsUrl,
      FCM_TOKEN_ENDPOINT: `${sandbox.tlsUrl}/token`,
      APNS_ENDPOINT: sandbox.tlsUrl,
      TWILIO_ENDPOINT: sandbox.url,
      SOLAPI_ENDPOINT: sandbox.url,
    },
    envOf: { 'push-dispatcher': { NODE_EXTRA_CA_CERTS: sandbox.certFile } },
  })
}

const optionsOf = ({ stack, minuteMs, partitions, rootKey }: Common, home: string): object => ({
  home,
  minuteMs,
  partitions,
  rootKey,
  replicationFactor: 1,
  use: { kafkaBrokers: stack.kafkaBrokers, registryUrl: stack.registryUrl, databaseUrl: stack.databaseUrl },
})

const endedByItself = /ended (with code|by)|is started again/

async function begin(name: string, root: string, options: object): Promise<Release> {
  mkdirSync(join((options as { home: string }).home), { recursive: true })
  const child = fork(join(__dirname, 'runner.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const crashes: string[] = []
  const ready = new Promise<{ url: string; sandboxUrl: string }>((done, fail) => {
    child.on('message', (word: Word) => {
      if ('ready' in word) done(word.ready)
      else if ('failed' in word) fail(new Error(`${name} did not start: ${word.failed}`))
      else if (endedByItself.test(word.line)) crashes.push(word.line)
    })
    child.once('exit', (code) => fail(new Error(`${name} ended with code ${code} while it started`)))
  })
  child.send({ start: { root, options } } satisfies Order)
  const { url, sandboxUrl } = await ready
  return { name, url, sandboxUrl, crashes, stop: () => end(child) }
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once('exit', () => done())
    child.send({ stop: true } satisfies Order)
  })
}
