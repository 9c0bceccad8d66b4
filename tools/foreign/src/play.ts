// The main job: people who do nothing are sent to over three channels, each window elapses, and the numbers say so.
import { deadLetterTopic, sequenceIdOf, topics, type SendRequested } from '@stepcast/contracts'
import { sleep } from '@stepcast/stack'
import { expectSame } from './checks'
import type { Installation } from './installation'
import { connectionAs, type ForeignKafka } from './kafka'

const templateId = 'order-shipped'
const people = 40
const atOnce = 20
const endWithinMs = 60_000

/** Calls of the workspace's backend. @throws Error with the answer when it is refused */
async function call<T = unknown>({ url, apiKey }: Installation, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** A template over three channels and people who have them all. */
export async function prepare(installation: Installation): Promise<void> {
  const text = 'Order {{orderNo}}'
  await call(installation, 'POST', '/v1/templates', {
    templateId,
    name: 'Order shipped',
    category: 'Transactional',
    variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
    channels: [
      { channelType: 'in_app', content: { title: 'Shipped', body: text, imageUrl: null, buttons: [] } },
      { channelType: 'push', content: { title: 'Shipped', body: text, data: {} } },
      { channelType: 'sms', content: { body: text } },
    ],
    config: {
      sequenceEnabled: true,
      sequence: {
        steps: [
          { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 5 },
          { channels: ['push'], stopCondition: 'clicked', waitMinutes: 5 },
          { channels: ['sms'] },
        ],
        dispatchTtlMinutes: 1440,
      },
    },
  })
  await call(installation, 'POST', `/v1/templates/${templateId}/approve`)
  for (let from = 0; from < people; from += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, async (_, n) => {
        const userId = `user-${from + n}`
        await call(installation, 'PUT', `/v1/users/${userId}`, { phoneNumber: `+1201555${1_000 + from + n}` })
        await call(installation, 'PUT', `/v1/users/${userId}/devices/phone`, { platform: 'fcm', token: `phone_${userId}` })
      }),
    )
  }
}

/** Sends with ids that begin with a name. */
export const sendsOf = ({ workspaceId }: Installation, name: string, count: number): SendRequested[] =>
  Array.from({ length: count }, (_, n) => ({
    workspaceId,
    sendId: `${name}-${n}`,
    userId: `user-${n % people}`,
    templateId,
    templateVersion: null,
    campaignId: null,
    variables: { orderNo: `${name} ${n}` },
    tag: null,
    source: null,
    requestedAt: Date.now(),
  }))

interface Story {
  readonly state: string
  readonly outcome: string | null
  readonly history: readonly { readonly type: string; readonly channels?: readonly string[] }[]
}

/** Every send is one sequence that went over all three channels, each once. */
export async function everySendEnds(installation: Installation, sends: readonly SendRequested[]): Promise<void> {
  const deadline = Date.now() + endWithinMs
  for (const { workspaceId, sendId, userId } of sends) {
    const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
    const story = await storyOf(installation, sequenceId, deadline)
    if (story === null) throw new Error(`the sequence of ${sendId} to ${userId} (${sequenceId}) has not ended`)
    expectSame(`outcome of ${sequenceId}`, story.outcome, 'exhausted')
    const commanded = story.history.flatMap(({ type, channels = [] }) => (type === 'StepCommanded' ? channels : []))
    expectSame(`channels of ${sequenceId}`, commanded, ['in_app', 'push', 'sms'])
  }
}

async function storyOf(installation: Installation, sequenceId: string, deadline: number): Promise<Story | null> {
  for (;;) {
    const story = await call<Story>(installation, 'GET', `/v1/sequences/${sequenceId}`).catch(() => null)
    if (story?.state === 'ended') return story
    if (Date.now() > deadline) return null
    await sleep(200)
  }
}

interface Numbers {
  readonly recipients: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly steps: readonly {
    readonly entered: number
    readonly channels: readonly { readonly channelType: string; readonly requested: number }[]
  }[]
}

/** The metrics count what was sent, on each step and channel. */
export async function numbersEqual(installation: Installation, sent: number): Promise<void> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const { recipients, outcomes, steps } = await call<Numbers>(installation, 'GET', `/v1/metrics/templates/${templateId}`)
    const seen = [
      recipients,
      outcomes['exhausted'],
      ...steps.flatMap(({ entered, channels }) => [entered, ...channels.map(({ requested }) => requested)]),
    ]
    if (seen.every((n) => n === sent) || Date.now() > deadline)
      return expectSame('recipients, exhausted, and of each step entered and requested', seen, Array(8).fill(sent))
    await sleep(300)
  }
}

/** Each push and each text has reached its provider once. */
export async function eachArrivedOnce({ sandboxUrl }: Installation, sent: number): Promise<void> {
  const { items } = (await (await fetch(`${sandboxUrl}/log/counts`)).json()) as {
    items: { provider: string; arrived: number; accepted: number }[]
  }
  for (const provider of ['fcm', 'twilio']) {
    const messages = items.filter((one) => one.provider === provider)
    expectSame(`messages of ${provider}`, messages.length, sent)
    expectSame(
      `messages of ${provider} that arrived other than once`,
      messages.filter(({ arrived, accepted }) => arrived !== 1 || accepted !== 1).length,
      0,
    )
  }
}

/** The topics hold what was written, and nobody has put anything aside. */
export async function nothingPutAside({ admin }: ForeignKafka, written: number): Promise<void> {
  const connection = connectionAs(admin)
  try {
    const held = async (topic: string): Promise<number> =>
      [...(await connection.offsets(topic)).values()].reduce((sum, { low, end }) => sum + end - low, 0)
    expectSame('dead letters', await held(deadLetterTopic.name), 0)
    // What landed off its home partition was written again, there.
    const sends = await held(topics.sends.name)
    if (sends < written) throw new Error(`${topics.sends.name} holds ${sends} records, ${written} were acknowledged`)
  } finally {
    await connection.close()
  }
}
