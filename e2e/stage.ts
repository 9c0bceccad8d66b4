// The stage of the whole-system specs: the built services on ports and data of their own, two workspaces, an outside Kafka client.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem, type System } from '@stepcast/local'
import { eventually } from '@stepcast/testing'
import { makeWorkspace, Sandbox, type Workspace } from './outside'
import { OutsideKafka, type DeadLetter } from './kafka'

/** Length of a "minute" on this stage: the window of {@link windowMinutes} is 8 s, long enough to act within it on a busy machine. */
const minuteMs = 800
/** The wait window of every sequence here. */
export const windowMinutes = 10

/** Everything a play needs. */
export interface Stage {
  readonly system: System
  readonly sandbox: Sandbox
  readonly kafka: OutsideKafka
  readonly shop: Workspace
  /** Another tenant. */
  readonly stranger: Workspace
  close(): Promise<void>
}

/** Starts it all. The services must be built (`npm run build`). */
export async function openStage(): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'stepcast-e2e-'))
  const system = await startSystem({ home, minuteMs })
  const sandbox = new Sandbox(system.sandboxUrl)
  const workspace = (workspaceId: string) => makeWorkspace(system.url, system.rootKey, sandbox, workspaceId)
  const [kafka, shop, stranger] = await Promise.all([
    OutsideKafka.connect(system.env.KAFKA_BROKERS, system.env.SCHEMA_REGISTRY_URL),
    workspace('shop'),
    workspace('stranger'),
  ])
  return {
    system,
    sandbox,
    kafka,
    shop,
    stranger,
    async close() {
      await kafka.close()
      await system.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

const inApp = { channelType: 'in_app', content: { title: 'Shipped', body: 'Order {{orderNo}}', buttons: [] } }
const push = { channelType: 'push', content: { title: 'Shipped', body: 'Order {{orderNo}}' } }
const shopUrl = 'https://shop.example/orders/{{orderNo}}'
const sms = { channelType: 'sms', content: { body: `Order {{orderNo}}: ${shopUrl}`, trackLinks: true } }
const kakao = {
  channelType: 'kakao',
  content: {
    senderKey: 'shop',
    templateCode: 'shipped',
    body: 'Order {{orderNo}}',
    buttons: [{ id: 'track', label: 'Track', url: shopUrl }],
  },
}
const common = { category: 'Transactional', variableSchema: [{ name: 'orderNo', type: 'string', required: false, default: '1' }] }

/** in_app until viewed, then push. */
export const sequenceTemplate = (templateId: string) => ({
  ...common,
  templateId,
  name: templateId,
  channels: [inApp, push],
  config: {
    sequenceEnabled: true,
    sequence: { steps: [{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: windowMinutes }, { channels: ['push'] }] },
  },
})

const contentOf = { in_app: inApp, push, sms, kakao }
type Channel = keyof typeof contentOf

/** These channels one after another, each but the last until viewed (in-app) or clicked. */
export const stepsTemplate = (templateId: string, ...channels: readonly Channel[]) => ({
  ...common,
  templateId,
  name: templateId,
  channels: channels.map((channel) => contentOf[channel]),
  config: {
    sequenceEnabled: true,
    sequence: {
      // Long enough to look into whatever happened before anything expires.
      dispatchTtlMinutes: 1440,
      steps: channels.map((channel, i) =>
        i === channels.length - 1
          ? { channels: [channel] }
          : { channels: [channel], stopCondition: channel === 'in_app' ? 'viewed' : 'clicked', waitMinutes: windowMinutes },
      ),
    },
  },
})

/** One channel at once, no sequence. */
export const broadcastTemplate = (templateId: string, channelType: Channel) => ({
  ...common,
  templateId,
  name: templateId,
  channels: [contentOf[channelType]],
  config: { sequenceEnabled: false },
})

/** Creates and approves; answers the version. */
export async function approved({ server }: Workspace, template: { templateId: string }): Promise<number> {
  await server.post('/v1/templates', template)
  return (await server.post(`/v1/templates/${template.templateId}/approve`)).version
}

/** Gives a user a phone; the token says how the sandbox treats it (`bad_…`: unregistered, others: silent until told). */
export const givePhone = ({ server }: Workspace, userId: string, token = `tok_${userId}`, platform: 'fcm' | 'apns' = 'fcm') =>
  server.put(`/v1/users/${userId}/devices/phone`, { platform, token })

/** A number for a story: nobody's, and its phone stays silent until told. */
export const numberOf = (line: number): string => `+12015550${line}`

/** Gives a user a number for SMS and one for KakaoTalk, the same unless told. */
export const giveNumber = ({ server }: Workspace, userId: string, phoneNumber: string, kakaoPhoneNumber = phoneNumber) =>
  server.put(`/v1/users/${userId}`, { phoneNumber, kakaoPhoneNumber })

/** Sends to one user; answers the sequenceId. */
export async function sendTo({ server }: Workspace, templateId: string, userId: string): Promise<string> {
  return (await server.post('/v1/sends', { templateId, receivers: [{ userId }] })).sequences[0].sequenceId
}

/** The story of a sequence once it satisfies the condition. */
export const story = ({ server }: Workspace, sequenceId: string, until: (told: any) => boolean = () => true) =>
  eventually(
    async () => {
      const told = await server.get(`/v1/sequences/${sequenceId}`)
      if (until(told)) return told
      throw new Error(`sequence ${sequenceId} is not there yet: ${JSON.stringify(told, null, 1)}`)
    },
    { withinMs: 60_000, everyMs: 150 },
  )

/** The story once it has ended. */
export const ended = (workspace: Workspace, sequenceId: string) => story(workspace, sequenceId, ({ state }) => state === 'ended')

/** Waits until a step's message is in the user's feed, and so `requested`. */
export const requested = (workspace: Workspace, sequenceId: string, step = 1) =>
  story(workspace, sequenceId, ({ history }) => history.some((event: any) => event.kind === 'requested' && event.step === step))

/** The facts told of a step's message, in order: `requested delivered clicked`. */
export const factsOf = ({ history }: any, step: number): string =>
  history.flatMap((event: any) => (event.type === 'EngagementRecorded' && event.step === step ? [event.kind] : [])).join(' ')

/** A history in one line: `SequenceStarted StepCommanded(1) | EngagementRecorded(1 requested) …`, bars between changes. */
export const inOneLine = ({ history }: any): string =>
  history
    .map((event: any, i: number) => {
      const { type, step, kind, reason, outcome, version } = event
      const told = [step, kind ?? reason, outcome].filter((part) => part !== undefined && part !== null).join(' ')
      return `${i > 0 && history[i - 1].version !== version ? '| ' : ''}${type}${told === '' ? '' : `(${told})`}`
    })
    .join(' ')

/** The dead letter that is looked for, once it is there. */
export const deadLetter = (kafka: OutsideKafka, isIt: (letter: DeadLetter) => boolean): Promise<DeadLetter> =>
  eventually(() => kafka.deadLetters.find(isIt))

/** What `services.json` says of a service now. */
export const listed = (home: string, name: string): { pid: number; port: number } | undefined =>
  JSON.parse(readFileSync(join(home, 'services.json'), 'utf8')).find((service: { name: string }) => service.name === name)
