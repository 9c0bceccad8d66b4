// Scripts of the good traffic: each knows exactly how its sequence must go, whatever stands on the topics beside it.
import {
  avroSchemas,
  messageIdOf,
  partitionOf,
  sendIdOf,
  sequenceIdOf,
  topics,
  wireHeader,
  type ChannelType,
  type Topic,
} from '@stepcast/contracts'
import { avroBytes, batchOf, Refused, type Api, type Schema, type Wire, type WireRecord } from '@stepcast/chaos'
import { sleep } from '@stepcast/stack'
import type { TemplateName } from './templates'

/** What scripts work with. */
export interface Theatre {
  readonly workspaceId: string
  readonly api: Api
  readonly wire: Wire
  readonly sandboxUrl: string
  readonly partitions: number
  readonly schemaIds: ReadonlyMap<string, number>
  /** Told of each record that was put on a topic by hand. */
  readonly onRecord?: (topic: string, partition: number, record: WireRecord) => void
  /** Told of each message that was commanded. */
  readonly onMessage?: (messageId: string) => void
}

/** One sequence and how it must go. */
export interface Story {
  readonly script: string
  readonly templateId: TemplateName
  readonly userId: string
  readonly sendId: string
  readonly sequenceId: string
  /** `1 stopped, stopped`: how each step ends, and the sequence. */
  readonly expected: string
  /** Null while it goes on. */
  problem: string | null | undefined
}

interface Told {
  readonly state: string
  readonly history: readonly {
    readonly type: string
    readonly step?: number
    readonly kind?: string
    readonly reason?: string
    readonly outcome?: string
  }[]
}

/** How a story went, as `1 stopped, stopped`. */
const told = ({ history }: Told): string =>
  history
    .flatMap(({ type, step, reason, outcome }) =>
      type === 'StepEnded' ? [`${step} ${reason}`] : type === 'SequenceEnded' ? [outcome] : [],
    )
    .join(', ')

/** How long a script waits for what must come. */
const patienceMs = 45_000
const pollMs = 400

/** A way in: HTTP, or Kafka at home, or Kafka on any partition. */
export type Door = 'http' | 'kafka' | 'kafkaElsewhere'

/** Plays scripts in one workspace. */
export class Stage {
  constructor(readonly of: Theatre) {}

  /** Names a story; its send is made by {@link send}. */
  story(script: string, templateId: TemplateName, name: string, door: Door, expected: string): Story {
    const { workspaceId } = this.of
    const userId = `person-${name}`
    const sendId = door === 'http' ? sendIdOf(workspaceId, name) : `send-${name}`
    return { script, templateId, userId, sendId, sequenceId: sequenceIdOf(workspaceId, sendId, userId), expected, problem: undefined }
  }

  /** Gives the person of a story a phone and numbers. */
  async register({ userId }: Story): Promise<void> {
    // 100 numbers that belong to nobody: messages are told apart by their ids.
    const number = `+1201555${String(100 + (partitionOf(userId, 100) % 100)).padStart(4, '0')}`
    await this.of.api.call('PUT', `/v1/users/${userId}`, { body: { phoneNumber: number, kakaoPhoneNumber: number }, patienceMs })
    await this.of.api.call('PUT', `/v1/users/${userId}/devices/phone`, { body: { platform: 'fcm', token: `tok_${userId}` }, patienceMs })
  }

  /** Sends. */
  async send({ templateId, userId, sendId, sequenceId }: Story, door: Door, name: string, partition?: number): Promise<void> {
    const { api, workspaceId, partitions } = this.of
    if (door === 'http') {
      const body = { templateId, receivers: [{ userId, variables: { orderNo: '42' } }] }
      await api.call('POST', '/v1/sends', { idempotencyKey: name, body, patienceMs })
      return
    }
    const value = {
      workspaceId,
      sendId,
      userId,
      templateId,
      templateVersion: null,
      campaignId: null,
      variables: { orderNo: '42' },
      tag: null,
      source: null,
      requestedAt: Date.now(),
    }
    const home = partitionOf(sequenceId, partitions)
    await this.put(
      topics.sends,
      value,
      door === 'kafka' ? sequenceId : 'any',
      partition ?? (door === 'kafka' ? home : (home + 1) % partitions),
    )
  }

  /** Reports over Kafka, at home. */
  async report(messageId: string, kind: string): Promise<void> {
    const { workspaceId, partitions } = this.of
    const sequenceId = messageId.split('.')[0]!
    const value = {
      workspaceId,
      messageId,
      kind,
      occurredAt: Date.now(),
      source: 'neighbour-app',
      reason: null,
      providerMessageId: null,
      detail: {},
    }
    await this.put(topics.engagements, value, sequenceId, partitionOf(sequenceId, partitions))
  }

  /** Cancels over Kafka, on this partition of the controls. */
  async cancelOverKafka({ sequenceId }: Story, partition: number): Promise<void> {
    const { workspaceId } = this.of
    const value = {
      cancelId: `cancel-${sequenceId}`,
      workspaceId,
      scope: 'sequence',
      id: sequenceId,
      requestedBy: 'probe',
      requestedAt: Date.now(),
    }
    await this.put(topics.controls, value, workspaceId, partition)
  }

  /** Views a message in the feed, as soon as it is there. */
  async view(story: Story): Promise<void> {
    const path = `/v1/feed/${messageIdOf(story.sequenceId, 1, 'in_app')}/viewed`
    await this.patiently(() => this.of.api.call('POST', path, { onBehalfOf: story.userId, patienceMs }).then(() => true, isNotThere))
  }

  /** Taps a message on the phone, as soon as it is there. */
  async tap({ sequenceId }: Story, step: number, channel: ChannelType): Promise<void> {
    const address = `${this.of.sandboxUrl}/phones/${messageIdOf(sequenceId, step, channel)}/clicked`
    await this.patiently(async () => {
      const answer = await fetch(address, { method: 'POST', signal: AbortSignal.timeout(10_000) }).catch(() => null)
      await answer?.body?.cancel()
      return answer?.status === 204
    })
  }

  /** How often a provider took a message. */
  async arrivals(messageId: string): Promise<number> {
    const answer = await fetch(`${this.of.sandboxUrl}/log?messageId=${encodeURIComponent(messageId)}`, {
      signal: AbortSignal.timeout(10_000),
    })
    return ((await answer.json()) as { items: { accepted: boolean }[] }).items.filter(({ accepted }) => accepted).length
  }

  /** Waits until a sequence tells this of itself. */
  async until({ sequenceId }: Story, isThere: (told: Told) => boolean): Promise<Told> {
    let last: Told | null = null
    await this.patiently(async () => {
      last = await this.of.api.call<Told>('GET', `/v1/sequences/${sequenceId}`, { patienceMs }).catch((error: Error) => {
        if (isNotThere(error) === false) return null
        throw error
      })
      return last !== null && isThere(last)
    }).catch((error: Error) => {
      throw new Error(`${error.message} ${last === null ? 'it never started' : `so far: ${told(last) || 'no step has ended'}`}`)
    })
    return last!
  }

  /** Waits for the first message's answer. */
  async requested(story: Story): Promise<void> {
    await this.until(story, ({ history }) => history.some(({ type, kind }) => type === 'EngagementRecorded' && kind === 'requested'))
  }

  /** Waits for the end, and says what is wrong with it. */
  async ended(story: Story): Promise<void> {
    const end = await this.until(story, ({ state }) => state === 'ended')
    const was = told(end)
    if (was !== story.expected) throw new Error(`expected ${story.expected}; it went ${was}`)
    for (const { type, step } of end.history) {
      if (type !== 'StepCommanded' || end.history.filter((other) => other.type === type && other.step === step).length === 1) continue
      throw new Error(`step ${step} was commanded twice`)
    }
  }

  private async put(topic: Topic, value: object, key: string, partition: number): Promise<void> {
    const bytes = Buffer.concat([wireHeader(this.of.schemaIds.get(topic.name)!), avroBytes(avroSchemas[topic.record] as Schema, value)])
    const record = { key: Buffer.from(key), value: bytes, headers: [] }
    await this.patiently(() =>
      this.of.wire.produce(topic.name, partition, batchOf([record], Date.now())).then(
        ({ error }) => error === 0,
        () => false,
      ),
    )
    this.of.onRecord?.(topic.name, partition, record)
  }

  private async patiently(isDone: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + patienceMs; !(await isDone()); await sleep(pollMs))
      if (Date.now() > deadline) throw new Error(`nothing within ${patienceMs / 1_000} s:`)
  }
}

/** False: it is not there yet, so ask again. @throws anything else */
function isNotThere(error: Error): false {
  if (error instanceof Refused && error.status === 404) return false
  throw error
}
