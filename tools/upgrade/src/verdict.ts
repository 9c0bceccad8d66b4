// What must be true at the end: every sequence ended as its script says, nothing was commanded or sent twice, the numbers agree.
import { deadLetterTopic } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'
import { templates, type Client, type Person } from './load'

interface Story {
  readonly state: string
  readonly outcome: string | null
  readonly history: readonly { readonly type: string; readonly step?: number; readonly channels?: readonly string[] }[]
}

const drainWithinMs = 120_000

/** Asks for every story until all have ended. @returns what is wrong, a sentence each */
export async function judge(client: Client, people: readonly Person[], sandboxUrl: string, connection: KafkaConnection): Promise<string[]> {
  const wrong: string[] = []
  const deadline = Date.now() + drainWithinMs
  for (const person of people) {
    const story = await ended(client, person, deadline)
    if (story === null) wrong.push(`${person.script.name}: sequence ${person.sequenceId} did not end`)
    else wrong.push(...problemsOf(person, story))
  }
  wrong.push(...(await doubleArrivals(sandboxUrl)))
  wrong.push(...(await wrongNumbers(client, people)))
  const letters = [...(await connection.offsets(deadLetterTopic.name)).values()].reduce((sum, { low, end }) => sum + end - low, 0)
  if (letters > 0) wrong.push(`${letters} dead letters were written`)
  return wrong
}

async function ended(client: Client, { sequenceId }: Person, deadline: number): Promise<Story | null> {
  for (;;) {
    const story = await client.call<Story>('GET', `/v1/sequences/${sequenceId}`, { missingPasses: Date.now() < deadline }).catch(() => null)
    if (story?.state === 'ended') return story
    if (Date.now() > deadline) return null
    await sleep(200)
  }
}

function problemsOf({ script, sequenceId }: Person, { outcome, history }: Story): string[] {
  const wrong: string[] = []
  if (outcome !== script.ending) wrong.push(`${script.name}: sequence ${sequenceId} ended ${outcome}, not ${script.ending}`)
  const commanded = history.flatMap(({ type, step, channels = [] }) =>
    type === 'StepCommanded' ? channels.map((channel) => `${step} ${channel}`) : [],
  )
  const twice = commanded.filter((one, place) => commanded.indexOf(one) < place)
  if (twice.length > 0) wrong.push(`sequence ${sequenceId} commanded twice: ${twice.join(', ')}`)
  return wrong
}

async function doubleArrivals(sandboxUrl: string): Promise<string[]> {
  const answer = await fetch(`${sandboxUrl}/log`)
  const { items } = (await answer.json()) as { items: { messageId: string; to: string; accepted?: boolean }[] }
  const times = new Map<string, number>()
  for (const { messageId, to } of items) times.set(`${messageId} to ${to}`, (times.get(`${messageId} to ${to}`) ?? 0) + 1)
  return [...times].filter(([, n]) => n > 1).map(([message, n]) => `${message} arrived ${n} times`)
}

interface Numbers {
  readonly recipients: number
  readonly outcomes: Readonly<Record<string, number>>
}

async function wrongNumbers(client: Client, people: readonly Person[]): Promise<string[]> {
  const wrong: string[] = []
  for (const { templateId } of templates) {
    const sent = people.filter(({ script }) => script.templateId === templateId)
    const expected = JSON.stringify(
      ['stopped', 'exhausted', 'cancelled'].map((ending) => sent.filter(({ script }) => script.ending === ending).length),
    )
    const deadline = Date.now() + 20_000
    for (;;) {
      const { recipients, outcomes } = await client.call<Numbers>('GET', `/v1/metrics/templates/${templateId}`)
      const counted = JSON.stringify([outcomes['stopped'], outcomes['exhausted'], outcomes['cancelled']])
      if (recipients === sent.length && counted === expected) break
      if (Date.now() > deadline) {
        wrong.push(`metrics of ${templateId}: ${recipients} recipients, ${counted}; expected ${sent.length}, ${expected}`)
        break
      }
      await sleep(500)
    }
  }
  return wrong
}
