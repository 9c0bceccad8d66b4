// A good record of each kind, all of the workspace under attack: what is mutated.
import { messageIdOf, sequenceIdOf, topics, type ChannelType, type Topic } from '@stepcast/contracts'
import type { Random } from '@stepcast/chaos'

/** The workspace whose records are mutated; the other one must not notice. */
export const attacked = 'attacked'
/** The workspace beside it. None of the mutated records names it. */
export const neighbour = 'neighbour'
/** Approved in both workspaces; no mutated record touches it. */
const steadyTemplate = 'steady'

/** A record before it is mutated. */
export interface Base {
  readonly topic: Topic
  readonly key: string
  readonly value: Record<string, unknown>
  /** Of a send: what it starts. */
  readonly sequenceId?: string
  /** Where it belongs, and is refused elsewhere; absent: anywhere. */
  readonly partition?: number
}

const channelOf: Readonly<Record<string, ChannelType>> = {
  [topics.inAppCommands.name]: 'in_app',
  [topics.pushCommands.name]: 'push',
  [topics.smsCommands.name]: 'sms',
  [topics.kakaoCommands.name]: 'kakao',
}

/** Every topic that carries records of ours. */
export const allTopics: readonly Topic[] = Object.values(topics)

/** Names of what was sent before, and of the neighbour's messages, for records that look almost right. */
export interface Known {
  /** Sequences of the workspace under attack. */
  readonly sequences: readonly string[]
  /** Messages of the neighbour. */
  readonly foreign: readonly string[]
}

/** Makes good records; `n` makes their names their own. */
export class Bases {
  private n = 0

  constructor(
    private readonly run: string,
    private readonly random: Random,
    private readonly now: () => number,
    private readonly known: () => Known,
    private readonly partitions: number,
  ) {}

  /** A good record of a topic, for this partition where that matters. */
  of(topic: Topic, partition = this.random.below(this.partitions)): Base {
    switch (topic.record) {
      case 'SendRequested':
        return this.send(`victim-${this.random.below(50)}`)
      case 'EngagementReported':
        return this.engagement(this.someMessage())
      case 'CancelRequested':
        return this.cancel()
      case 'DispatchStep':
        return this.command(topic)
      case 'SequenceChanged':
        return this.change(partition)
      case 'TemplateChanged':
        return this.template()
      case 'UserChanged':
        return this.user()
      case 'WorkspaceChanged':
        return this.workspace()
    }
  }

  /** A good send; its sequence must start. */
  send(userId: string): Base {
    const sendId = this.name('send')
    const sequenceId = sequenceIdOf(attacked, sendId, userId)
    const value = {
      workspaceId: attacked,
      sendId,
      userId,
      templateId: steadyTemplate,
      templateVersion: null,
      campaignId: null,
      variables: { orderNo: '42' },
      tag: 'fuzz',
      source: null,
      requestedAt: this.now(),
    }
    return { topic: topics.sends, key: sequenceId, value, sequenceId }
  }

  /** A good report of a message. */
  engagement(messageId: string, detail: Record<string, string> = {}): Base {
    const kind = this.random.pick(['delivered', 'viewed', 'clicked', 'requested', 'failed', 'skipped', 'unknown'])
    const value = {
      workspaceId: attacked,
      messageId,
      kind,
      occurredAt: this.now(),
      source: 'fuzz',
      reason: null,
      providerMessageId: null,
      detail,
    }
    return { topic: topics.engagements, key: messageId.split('.')[0]!, value }
  }

  private someMessage(): string {
    const { sequences, foreign } = this.known()
    const { random } = this
    const dice = random.next()
    const [own, other, step] = [random.next(), random.next(), 1 + random.below(3)]
    if (dice < 0.4 && sequences.length > 0) return messageIdOf(sequences[Math.floor(own * sequences.length)]!, step, 'in_app')
    // Another workspace's message: to be refused, and to change nothing there.
    if (dice < 0.6 && foreign.length > 0) return foreign[Math.floor(other * foreign.length)]!
    return messageIdOf(sequenceIdOf(attacked, this.name('early'), 'victim-1'), 1, 'in_app')
  }

  private cancel(): Base {
    const { random } = this
    const { sequences, foreign } = this.known()
    const [scope, dice] = [random.pick(['sequence', 'send', 'user', 'campaign']), random.next()]
    const own = sequences.length > 0 ? sequences[Math.floor(dice * sequences.length)]! : sequenceIdOf(attacked, 'none', 'none')
    const other = foreign.length > 0 ? foreign[Math.floor(dice * foreign.length)]!.split('.')[0]! : own
    const id = scope === 'sequence' ? (dice < 0.3 ? other : own) : scope === 'user' ? `victim-${random.below(50)}` : this.name('cancelled')
    const value = { cancelId: this.name('cancel'), workspaceId: attacked, scope, id, requestedBy: 'fuzz', requestedAt: this.now() }
    return { topic: topics.controls, key: attacked, value }
  }

  private command(topic: Topic): Base {
    const channelType = channelOf[topic.name]!
    const [sendId, userId, now] = [this.name('forged'), `victim-${this.random.below(50)}`, this.now()]
    const sequenceId = sequenceIdOf(attacked, sendId, userId)
    const value = {
      action: this.random.pick(['send', 'withdraw']),
      workspaceId: attacked,
      messageId: messageIdOf(sequenceId, 1, channelType),
      sequenceId,
      sendId,
      step: 1,
      channelType,
      userId,
      templateId: steadyTemplate,
      templateVersion: 1,
      campaignId: null,
      variables: { orderNo: '42' },
      commandedAt: now,
      expiresAt: now + 60_000,
      windowMs: null,
    }
    return { topic, key: sequenceId, value }
  }

  /** Position 0 was counted before anything: a change of a true position would be the orchestrator's own, and is not ours to forge. */
  private change(partition: number): Base {
    const [sendId, userId, now] = [this.name('changed'), 'victim-1', this.now()]
    const sequenceId = sequenceIdOf(attacked, sendId, userId)
    const steps = [
      { channels: ['in_app'], stopCondition: 'viewed', windowMs: 1_000 },
      { channels: ['push'], stopCondition: null, windowMs: null },
    ]
    const events = [
      {
        type: 'SequenceStarted',
        steps,
        onFailure: 'advance',
        lateSignal: 'stop',
        tag: null,
        source: 'kafka',
        requestedAt: now,
        dispatchTtlMs: null,
      },
      { type: 'StepCommanded', step: 1, channels: ['in_app'], commandedAt: now, expiresAt: now + 60_000 },
      { type: 'StepDeferred', step: 2, channels: ['push'], until: now + 60_000, reason: 'quiet_hours' },
      {
        type: 'EngagementRecorded',
        messageId: messageIdOf(sequenceId, 1, 'in_app'),
        step: 1,
        channelType: 'in_app',
        kind: 'viewed',
        occurredAt: now,
        source: 'fuzz',
        reason: null,
        providerMessageId: null,
        detail: {},
      },
      { type: 'EscalationRegretted', step: 1, laterSteps: [2], kind: 'viewed', lateByMs: 5 },
      { type: 'StepEnded', step: 1, reason: 'stopped', engagement: 'viewed', note: null },
      { type: 'SequenceEnded', outcome: 'stopped', step: 1, engagement: 'viewed' },
    ]
    const value = {
      workspaceId: attacked,
      sequenceId,
      version: 1,
      logPartition: partition,
      logPosition: 0,
      sendId,
      userId,
      templateId: 'fuzzed',
      templateVersion: 1,
      campaignId: null,
      recordedAt: now,
      events,
    }
    return { topic: topics.sequences, key: sequenceId, value, partition }
  }

  private template(): Base {
    const [templateId, now, version] = ['fuzzed', this.now(), 1 + this.random.below(5)]
    const approved = {
      type: 'TemplateApproved',
      version,
      name: 'Fuzzed',
      category: 'Transactional',
      variableSchema: '[]',
      config: '{"sequenceEnabled":false}',
      channels: JSON.stringify([{ channelType: 'in_app', content: { title: 'Fuzzed', body: 'Fuzzed', imageUrl: null, buttons: [] } }]),
    }
    const change = this.random.pick([approved, approved, { type: 'TemplateArchived', archivedAt: now }, { type: 'TemplateUnarchived' }])
    const key = `${attacked}/${templateId}${change.type === 'TemplateApproved' ? `/${version}` : ''}`
    return { topic: topics.templates, key, value: { workspaceId: attacked, templateId, changedAt: now, change } }
  }

  private user(): Base {
    const [userId, now] = [`victim-${this.random.below(50)}`, this.now()]
    const value = {
      workspaceId: attacked,
      userId,
      phoneNumber: '+12015550199',
      kakaoPhoneNumber: null,
      locale: 'en',
      timezone: 'Asia/Seoul',
      devices: [{ deviceId: 'd1', platform: 'fcm', token: `phone_${userId}_d1`, updatedAt: now }],
      optOutChannels: ['sms'],
      optOutCategories: ['Marketing'],
      quietHoursStart: '22:00',
      quietHoursEnd: '07:00',
      updatedAt: now,
    }
    return { topic: topics.users, key: `${attacked}/${userId}`, value }
  }

  private workspace(): Base {
    const value = {
      workspaceId: attacked,
      settings: JSON.stringify({ name: 'Attacked', timezone: 'UTC', currency: 'USD' }),
      updatedAt: this.now(),
    }
    return { topic: topics.workspaces, key: attacked, value }
  }

  private name(word: string): string {
    return `${word}-${this.run}-${++this.n}`
  }
}
