// The load: sends over HTTP and Kafka, repeated and out of order; engagements early, in time, at the edge, late, again; cancels.
import {
  encodeRecord,
  messageIdOf,
  newTraceparent,
  parseMessageId,
  partitionOf,
  sendIdOf,
  sequenceIdOf,
  topics,
  type ChannelType,
  type EngagementKind,
  type SequenceChanged,
  type SequenceStep,
  type Topic,
} from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { codecs, type Codec } from './batches'
import { driver, type Accepted, type Cancelled, type OptedOut, type Poison, type Receipt } from './history'
import { Refused, type Api } from './http'
import { Outbox } from './outbox'
import { approve, templates, type Person } from './people'
import { poisonRecords, writerIdOf } from './poison'
import type { Random } from './random'
import type { Wire } from './wire'

/** What the load needs. */
export interface LoadOptions {
  readonly connection: () => KafkaConnection
  readonly wire: Wire
  /** Of the workspace of the load, and of the noisy one. */
  readonly api: Api
  readonly workspaceId: string
  readonly noisyWorkspaceId: string
  readonly people: readonly Person[]
  readonly random: Random
  /** Sequences a second. */
  readonly rate: number
  readonly minuteMs: number
  readonly partitions: number
}

const tickMs = 100
/** Half of the sequences come over HTTP, so many to a request. */
const receiversPerRequest = 6
// What the gateway and send-svc are asked at the same time while they are away.
const maxRequests = 200
// Just within what a record may have: twenty of them are more than a topic takes in one.
const earlyBytes = 255_000
const clockAheadMs = 3_600_000
const erasedAfterMs = 1_500
/** At the end of a run: longer than the shortest window, so that it still sees every kind of reaction. */
const waitedForMs = 4_000

/** Sends, engages, cancels; keeps the book of what was promised. */
export class Load {
  readonly asked = new Set<string>()
  readonly accepted: Accepted[] = []
  readonly receipts: Receipt[] = []
  readonly cancels: Cancelled[] = []
  readonly optOuts: OptedOut[] = []
  readonly poison: Poison[] = []
  /** Answers that nobody should get. */
  readonly refusals: string[] = []
  private readonly acceptedIds = new Set<string>()
  private readonly outbox: Outbox
  private readonly plans = new Map<string, readonly SequenceStep[]>()
  private readonly seen = new Set<string>()
  /** What is still to come, by when. */
  private readonly timers = new Map<NodeJS.Timeout, number>()
  private ticking: NodeJS.Timeout | null = null
  private isClosing = false
  private requests = 0
  private sent = 0
  private debt = 0
  /** Messages that were commanded, for poison that looks almost right. */
  private lastMessageId: string | null = null

  constructor(private readonly options: LoadOptions) {
    this.outbox = new Outbox(options.connection, options.wire, options.random.fork())
  }

  start(): void {
    this.outbox.start()
    this.ticking = setInterval(() => this.tick(), tickMs)
  }

  /** Sends nothing new; what is on its way, and people's reactions, go on, but nobody is waited for who would react much later. */
  stopSending(): void {
    if (this.ticking) clearInterval(this.ticking)
    this.isClosing = true
    for (const [timer, at] of this.timers) if (at - Date.now() > waitedForMs) this.cancelTimer(timer)
  }

  /** Requests, records and reactions that are still to come. */
  get pending(): number {
    return this.requests + this.outbox.pending + this.timers.size
  }

  async stop(): Promise<void> {
    this.stopSending()
    for (const timer of this.timers.keys()) this.cancelTimer(timer)
    await this.outbox.stop()
  }

  private tick(): void {
    const { rate, random } = this.options
    this.debt += (rate * tickMs) / 1_000
    while (this.debt >= 1) {
      if (random.chance(1 / (receiversPerRequest + 1))) {
        this.sendOverHttp()
        this.debt -= receiversPerRequest
      } else {
        this.sendOverKafka(random.pick(this.options.people).userId)
        this.debt--
      }
    }
  }

  // ── Sends ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private draw(): string {
    return this.options.random.weighted(templates.map(({ templateId, weight }) => [templateId, weight] as const))
  }

  private sendOverKafka(userId: string): void {
    const { workspaceId, random, partitions } = this.options
    const sendId = `kafka-${++this.sent}`
    const templateId = this.draw()
    const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
    this.asked.add(sequenceId)
    if (random.chance(0.05))
      this.engage(
        messageIdOf(sequenceId, 1, templates.find((template) => template.templateId === templateId)!.first),
        random.pick(['delivered', 'clicked']),
        userId,
      )
    // One in ten by a producer that knows nothing of home partitions; one in ten twice, one of these much later.
    const partition = random.chance(0.1) ? random.below(partitions) : undefined
    // One in ten as other teams' producers write them, compressed.
    const codec = random.chance(0.1) ? random.pick(codecs) : undefined
    const copies = random.chance(0.1) ? 2 : 1
    const send = (): void =>
      this.produceSend({ workspaceId, sendId, userId, templateId, ...(partition !== undefined && { partition }), ...(codec && { codec }) })
    send()
    if (copies === 2) this.later(random.between(0, 8_000), send)
  }

  private produceSend({
    partition,
    codec,
    aheadMs = 0,
    onAccepted,
    ...of
  }: {
    workspaceId: string
    sendId: string
    userId: string
    templateId: string
    partition?: number
    codec?: Codec
    /** By how much the producer's clock is ahead. */
    aheadMs?: number
    onAccepted?: () => void
  }): void {
    const sequenceId = sequenceIdOf(of.workspaceId, of.sendId, of.userId)
    void this.encoded('SendRequested', topics.sends, {
      ...of,
      templateVersion: null,
      campaignId: null,
      variables: { orderNo: '42' },
      tag: 'chaos',
      source: null,
      requestedAt: Date.now() + aheadMs,
    }).then((value) => {
      const record = {
        key: partition === undefined ? sequenceId : 'any',
        value,
        headers: { traceparent: newTraceparent() },
        ...(partition !== undefined && { partition }),
      }
      const accepted = (acceptedAt: number): void => {
        this.accept({ sequenceId, ...of, acceptedAt })
        onAccepted?.()
      }
      if (codec === undefined) return this.outbox.put(topics.sends.name, record, (_, ackedAt) => accepted(ackedAt))
      const bare = { key: Buffer.from(record.key), value, headers: [] }
      const home = partitionOf(sequenceId, this.options.partitions)
      this.outbox.putBare(topics.sends.name, partition ?? home, bare, codec, (_offset, _sentAt, ackedAt) => accepted(ackedAt))
    })
  }

  private accept(accepted: Accepted): void {
    if (this.acceptedIds.has(accepted.sequenceId)) return
    this.acceptedIds.add(accepted.sequenceId)
    this.accepted.push(accepted)
  }

  private sendOverHttp(): void {
    const { api, workspaceId, random, people } = this.options
    if (this.requests >= maxRequests) return
    const idempotencyKey = `http-${++this.sent}`
    const sendId = sendIdOf(workspaceId, idempotencyKey)
    const templateId = this.draw()
    // Some are named twice: one sequence each (rule 17).
    const userIds = Array.from({ length: receiversPerRequest }, () => random.pick(people).userId)
    for (const userId of userIds) this.asked.add(sequenceIdOf(workspaceId, sendId, userId))
    const body = { templateId, receivers: userIds.map((userId) => ({ userId, variables: { orderNo: '42' } })), tag: 'chaos' }
    const post = (): void =>
      this.request(async () => {
        await api.call('POST', '/v1/sends', { idempotencyKey, body })
        const acceptedAt = Date.now()
        for (const userId of userIds)
          this.accept({ sequenceId: sequenceIdOf(workspaceId, sendId, userId), workspaceId, sendId, userId, templateId, acceptedAt })
      })
    post()
    if (random.chance(0.2)) this.later(random.between(0, 6_000), post)
    if (random.chance(0.06)) this.later(random.between(500, 4_000), () => this.cancel('send', sendId))
  }

  /** One workspace at many times the rate of the rest. */
  burst(count: number): void {
    const { noisyWorkspaceId: workspaceId } = this.options
    for (let i = 0; i < count; i++) {
      const [sendId, userId] = [`noise-${++this.sent}`, `noise-${i}`]
      this.asked.add(sequenceIdOf(workspaceId, sendId, userId))
      this.produceSend({ workspaceId, sendId, userId, templateId: templates[0]!.templateId })
    }
  }

  // ── Reactions ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Tells the load of a change that was read, so that people can react to what they got. */
  readonly onChange = (change: SequenceChanged): void => {
    const { sequenceId, userId, workspaceId, events } = change
    if (workspaceId !== this.options.workspaceId) return
    for (const event of events) {
      if (event.type === 'SequenceStarted') this.plans.set(sequenceId, event.steps)
      if (event.type !== 'StepCommanded') continue
      for (const channel of event.channels) {
        const messageId = messageIdOf(sequenceId, event.step, channel as ChannelType)
        if (this.seen.has(messageId)) continue
        this.seen.add(messageId)
        this.lastMessageId = messageId
        this.react(messageId, channel as ChannelType, userId, this.plans.get(sequenceId)?.[event.step - 1]?.windowMs ?? null)
      }
      if (event.step === 1 && this.options.random.chance(0.04))
        this.later(this.options.random.between(100, 2_500), () => this.cancel('sequence', sequenceId))
      if (event.step === 1 && this.options.random.chance(0.01)) this.cancelOverKafka(sequenceId)
    }
  }

  private react(messageId: string, channel: ChannelType, userId: string, windowMs: number | null): void {
    const { random, minuteMs } = this.options
    const conduct = random.weighted([
      ['inTime', 45],
      ['atTheEdge', 20],
      ['late', 15],
      ['never', 20],
    ] as const)
    if (conduct === 'never') return
    const window = windowMs ?? 5 * minuteMs
    const [least, most] = { inTime: [0.05, 0.85], atTheEdge: [0.9, 1.15], late: [1.2, 2.5] }[conduct] as [number, number]
    const kinds: readonly EngagementKind[] = channel === 'in_app' ? ['delivered', 'viewed', 'clicked'] : ['delivered', 'clicked']
    const strongest = random.below(kinds.length)
    // Everything up to the strongest, in any order.
    for (const kind of kinds.slice(0, strongest + 1))
      this.later(window * random.between(least, most), () => this.engage(messageId, kind, userId))
  }

  private engage(messageId: string, kind: EngagementKind, userId: string): void {
    const { random } = this.options
    const copies = random.weighted([
      [1, 70],
      [2, 20],
      [3, 10],
    ] as const)
    this.report(messageId, kind, userId)
    for (let copy = 1; copy < copies; copy++) this.later(random.between(0, 5_000), () => this.report(messageId, kind, userId))
  }

  private report(messageId: string, kind: EngagementKind, userId: string): void {
    const { random, partitions, workspaceId } = this.options
    const { sequenceId, channelType } = parseMessageId(messageId)!
    const sentAt = Date.now()
    const hasRoute = channelType === 'in_app' || channelType === 'push'
    if (hasRoute && this.seen.has(messageId) && random.chance(0.25) && this.requests < maxRequests)
      return this.reportOverHttp(messageId, channelType, kind, userId, sentAt)
    const elsewhere = random.chance(0.1) ? random.below(partitions) : undefined
    const isKeyed = elsewhere === undefined || elsewhere === partitionOf(sequenceId, partitions)
    void this.encoded('EngagementReported', topics.engagements, {
      workspaceId,
      messageId,
      kind,
      occurredAt: sentAt - random.below(500),
      source: driver,
      reason: null,
      providerMessageId: null,
      detail: {},
    }).then((value) =>
      this.outbox.put(
        topics.engagements.name,
        { key: sequenceId, value, ...(elsewhere !== undefined && { partition: elsewhere }) },
        (begun, ackedAt) => this.receipts.push({ messageId, kind, sentAt: begun, ackedAt, isKeyed }),
      ),
    )
  }

  private reportOverHttp(messageId: string, channelType: ChannelType, kind: EngagementKind, userId: string, sentAt: number): void {
    const path = `/v1/${channelType === 'in_app' ? 'feed' : 'push'}/${messageId}/${kind}`
    this.request(async () => {
      await this.options.api.call('POST', path, {
        onBehalfOf: userId,
        ...(kind === 'clicked' && channelType === 'in_app' && { body: {} }),
      })
      this.receipts.push({ messageId, kind, sentAt, ackedAt: Date.now(), isKeyed: true })
    })
  }

  private cancel(scope: 'sequence' | 'send', id: string): void {
    const { api, workspaceId } = this.options
    this.request(async () => {
      await api.call('POST', `/v1/${scope}s/${id}/cancel`)
      this.cancels.push({ workspaceId, scope, id, answeredAt: Date.now() })
    })
  }

  private cancelOverKafka(sequenceId: string): void {
    const { workspaceId, random } = this.options
    const cancel = {
      cancelId: `chaos-${sequenceId}`,
      workspaceId,
      scope: 'sequence' as const,
      id: sequenceId,
      requestedBy: 'chaos',
      requestedAt: Date.now(),
    }
    void this.encoded('CancelRequested', topics.controls, cancel).then((value) => {
      for (let copy = 0; copy < 2; copy++)
        this.later(random.between(0, 3_000), () => this.outbox.put(topics.controls.name, { key: workspaceId, value }))
    })
  }

  /** A person switches a channel off. */
  optOut(userId: string, channel: ChannelType): void {
    const { api, workspaceId } = this.options
    this.request(async () => {
      await api.call('PUT', `/v1/users/${userId}/preferences`, { body: { optOut: { channels: [channel], categories: [] } } })
      this.optOuts.push({ workspaceId, userId, channel, answeredAt: Date.now() })
    })
  }

  /** A person is erased while a send of theirs runs that a producer with a clock ahead has made. */
  erase(): void {
    const { api, workspaceId } = this.options
    const [sendId, userId] = [`slow-${++this.sent}`, `gone-${this.sent}`]
    this.asked.add(sequenceIdOf(workspaceId, sendId, userId))
    this.request(async () => {
      await api.call('PUT', `/v1/users/${userId}`, { body: { locale: 'en' } })
      // Once Kafka has it: what comes to the topic after an erasure is a new beginning.
      const erase = (): void =>
        this.request(async () => {
          await api.call('DELETE', `/v1/users/${userId}`)
          this.cancels.push({ workspaceId, scope: 'user', id: userId, answeredAt: Date.now() })
        })
      this.produceSend({
        workspaceId,
        sendId,
        userId,
        templateId: 'slow',
        aheadMs: clockAheadMs,
        onAccepted: () => this.later(erasedAfterMs, erase),
      })
    })
  }

  /** A template gets its next version with a longer window, while sequences of the one before run. */
  editTemplate(version: number): void {
    const edit = {
      ...templates[0]!,
      sequence: {
        steps: [{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: version % 2 === 0 ? 10 : 5 }, { channels: ['push'] }],
      },
    }
    this.request(() => approve(this.options.api, edit, version))
  }

  /** Records that nobody can use, among good ones. */
  async putPoison(): Promise<void> {
    const { connection, workspaceId, noisyWorkspaceId, random, partitions } = this.options
    const records = await poisonRecords({
      connection: connection(),
      workspaceId,
      otherWorkspaceId: noisyWorkspaceId,
      messageId: this.lastMessageId,
      random,
      partitions,
    })
    for (const { partition, record, codec, poison } of records) {
      this.poison.push(poison)
      // A neighbour on either side.
      this.sendOverKafka(random.pick(this.options.people).userId)
      this.outbox.putBare(poison.topic, partition, record, codec, (offset) => (poison.place = `${partition}/${offset}`))
    }
    this.wideBurst()
  }

  /** Early reports of one sequence, each within its limit, that together do not fit into one record; then its send. */
  private wideBurst(): void {
    const { workspaceId, partitions } = this.options
    const [sendId, userId] = [`wide-${++this.sent}`, 'nobody']
    const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
    const partition = partitionOf(sequenceId, partitions)
    this.asked.add(sequenceId)
    // Of somebody who cannot be reached: whatever is reported here besides, no provider is called.
    const channels = ['in_app', 'push', 'sms', 'kakao'] as const
    const kinds = ['delivered', 'viewed', 'clicked', 'requested', 'unknown'] as const
    let left = channels.length * kinds.length
    for (const channel of channels)
      for (const kind of kinds) {
        const report = {
          workspaceId,
          messageId: messageIdOf(sequenceId, 1, channel),
          kind,
          occurredAt: Date.now(),
          source: driver,
          reason: null,
          providerMessageId: null,
          detail: { pad: 'x'.repeat(earlyBytes) },
        }
        void this.encoded('EngagementReported', topics.engagements, report).then((value) => {
          const record = { key: Buffer.from(sequenceId), value, headers: [] }
          this.outbox.putBare(topics.engagements.name, partition, record, 'gzip', (_, sentAt, ackedAt) => {
            this.receipts.push({ messageId: report.messageId, kind, sentAt, ackedAt, isKeyed: true })
            if (--left === 0) this.produceSend({ workspaceId, sendId, userId, templateId: 'broadcast' })
          })
        })
      }
  }

  // ── In common ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async encoded<R extends Parameters<typeof encodeRecord>[0]>(
    record: R,
    topic: Topic,
    value: Parameters<typeof encodeRecord<R>>[2],
  ): Promise<Buffer> {
    return encodeRecord(record, await writerIdOf(this.options.connection, topic), value)
  }

  private cancelTimer(timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    this.timers.delete(timer)
  }

  private later(ms: number, work: () => void): void {
    if (this.isClosing && ms > waitedForMs) return
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      work()
    }, ms)
    this.timers.set(timer, Date.now() + ms)
  }

  private request(work: () => Promise<void>): void {
    this.requests++
    void work()
      .catch((error: Error) => {
        // 404: the message is not there yet, or the sequence not started. Other refusals are wrong, as is an absence beyond patience.
        if (!(error instanceof Refused && error.status === 404)) this.refusals.push(error.message)
      })
      .finally(() => this.requests--)
  }
}
