// `npm run upgrade-check [-- --from <commit>]`: the old tree's services and ours side by side on the same servers, under load, then back again.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sequenceIdOf } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { checkout } from '@stepcast/local'
import { freePort, sleep, startStack } from '@stepcast/stack'
import { Load } from './load'
import { commitOf, oldTree } from './oldTree'
import { startRelease, startSandbox, type Common, type Release } from './release'
import { prepare } from './prepare'
import { judge } from './verdict'

const help = `npm run upgrade-check [-- --from <commit>] [--seconds <n>]

Runs the services of an earlier commit under load, starts ours beside them, takes the old ones away, brings them back and takes ours away: an
upgrade by rolling restart, and the way back. Every sequence must end as its script says, nothing may be commanded or sent twice, no dead
letter may appear, and the numbers must agree. About three minutes.

--from <commit>   where to come from; by default the commit that last changed libs/contracts/released
--seconds <n>     how long each of the five phases lasts; 12 by default`

const workspaceId = 'upgrade'
const minuteMs = 300
const partitions = 6
const perSecond = 8

const begin = Date.now()
const say = (line: string): void => console.log(`${((Date.now() - begin) / 1_000).toFixed(0).padStart(4)} s  ${line}`)

interface Servers {
  readonly common: Common
  readonly connection: KafkaConnection
}

async function check(from: string | null, phaseMs: number): Promise<readonly string[]> {
  const old = await oldTree(await commitOf(from), say)
  const home = mkdtempSync(join(tmpdir(), 'stepcast-upgrade-home-'))
  const undo: (() => Promise<void> | void)[] = [() => rmSync(home, { recursive: true, force: true }), () => old.remove()]
  try {
    const stack = await startStack({ home: join(home, 'stack') })
    undo.push(() => stack.stop())
    const common: Common = {
      stack,
      home,
      minuteMs,
      partitions,
      rootKey: `rk_${randomBytes(24).toString('hex')}`,
      internalSecret: randomBytes(32).toString('hex'),
    }
    const env = { KAFKA_BROKERS: stack.kafkaBrokers, SCHEMA_REGISTRY_URL: stack.registryUrl }
    const connection = new KafkaConnection({
      kafka: kafkaConfigFromEnv(env, 'upgrade-check'),
      registry: registryConfigFromEnv(env),
      log: silentLog,
    })
    undo.push(() => connection.close())
    return await phases(old.root, old.commit, { common, connection }, phaseMs, undo)
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

async function phases(
  oldRoot: string,
  commit: string,
  { common, connection }: Servers,
  phaseMs: number,
  undo: (() => Promise<void> | void)[],
): Promise<readonly string[]> {
  const sandbox = await startSandbox(oldRoot, common, { http: await freePort(), tls: await freePort() })
  undo.push(() => sandbox.stop())
  const running = new Set<Release>()
  const seen: Release[] = []
  const gateways = (): string[] => [...running].map(({ url }) => url)
  const bring = async (name: string, root: string): Promise<Release> => {
    const release = await startRelease(name, root, common, sandbox.at)
    running.add(release)
    seen.push(release)
    undo.push(() => release.stop())
    return release
  }
  const take = async (release: Release): Promise<void> => {
    running.delete(release)
    await release.stop()
  }

  const before = await bring('old', oldRoot)
  say(`${commit} works; load begins: ${perSecond} sends a second over HTTP and Kafka, four channels`)
  const client = await prepare({ workspaceId, rootKey: common.rootKey, url: before.url, sandboxUrl: sandbox.sandboxUrl, gateways })
  const load = new Load(client, connection, workspaceId, (sendId, userId) => sequenceIdOf(workspaceId, sendId, userId))
  load.start(perSecond)
  await sleep(phaseMs)

  const ours = await bring('new', checkout)
  say('ours works beside it')
  await sleep(phaseMs)
  await take(before)
  say('ours alone')
  await sleep(phaseMs)
  const again = await bring('old-again', oldRoot)
  say(`back again: ${commit} works beside ours`)
  await sleep(phaseMs)
  await take(ours)
  say(`${commit} alone`)
  await sleep(phaseMs)

  const failures = await load.stop()
  say(`${load.people.length} sequences were asked for; waiting for their ends`)
  const wrong = await judge(client, load.people, sandbox.sandboxUrl, connection)
  await take(again)
  return [...failures, ...wrong, ...seen.flatMap(({ name, crashes }) => crashes.map((line) => `${name}: ${line}`))]
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { from: { type: 'string' }, seconds: { type: 'string', default: '12' }, help: { type: 'boolean', default: false } },
  })
  if (values.help) return console.log(help)
  const seconds = Number(values.seconds)
  if (!(seconds >= 1)) throw new Error(`--seconds is "${values.seconds}"; it must be a number of 1 or more`)
  const wrong = await check(values.from ?? null, seconds * 1_000)
  for (const line of wrong.slice(0, 30)) say(`✗ ${line}`)
  if (wrong.length > 30) say(`… and ${wrong.length - 30} more`)
  say(wrong.length === 0 ? 'KEPT: old and new work side by side, there and back' : `BROKEN: ${wrong.length} things are wrong`)
  console.log(`Tests: ${wrong.length === 0 ? 1 : 0} passed, ${wrong.length === 0 ? 0 : 1} failed`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
