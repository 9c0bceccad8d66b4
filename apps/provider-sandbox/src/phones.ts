// Phones: what receivers' devices hold, and what they do with it, reported to the product the way an app, a carrier or a browser would.
import { z } from 'zod'
import type { ProviderName } from './arrivals'
import { timeNow } from './clock'
import type { Product, ReportAnswer } from './product'
import { isSimulated } from './specialAddresses'

/** What a device can do with a message. */
export const phoneReports = ['delivered', 'clicked'] as const
/** One of {@link phoneReports}. */
export type PhoneReport = (typeof phoneReports)[number]
/** The channels that end on a phone. */
export const phoneChannels = ['push', 'sms', 'kakao'] as const
/** One of {@link phoneChannels}. */
export type PhoneChannel = (typeof phoneChannels)[number]

/** Share of simulated phones that receive a message. */
const deliveredRate = z.number().min(0).max(1)
/** Share of those receiving that tap it. */
const clickedRate = z.number().min(0).max(1)
/** Mean time until delivered, and from there until clicked. */
const delayMs = z.int().min(0).max(3_600_000)
/** Share of texts whose first link is fetched for a preview when they arrive. */
const previewRate = z.number().min(0).max(1)

const defaults = { deliveredRate: 0.95, clickedRate: 0.3, delayMs: 1_000, previewRate: 0.2 } as const
const channelSchema = z.strictObject({ deliveredRate, clickedRate, delayMs, previewRate }).partial()
/** How simulated phones behave: on every channel, and where a channel differs. */
export const behaviourSchema = z.strictObject({
  behaviour: z
    .strictObject({
      deliveredRate: deliveredRate.default(defaults.deliveredRate),
      clickedRate: clickedRate.default(defaults.clickedRate),
      delayMs: delayMs.default(defaults.delayMs),
      previewRate: previewRate.default(defaults.previewRate),
    })
    .default(defaults),
  channels: z.strictObject({ push: channelSchema.optional(), sms: channelSchema.optional(), kakao: channelSchema.optional() }).default({}),
})
/** See {@link behaviourSchema}. */
export type PhoneBehaviour = z.output<typeof behaviourSchema>

/** Who the phones of a workspace report as, how its simulated ones behave, and what signs its people's tokens. */
export const phonesSchema = behaviourSchema.extend({
  workspaceId: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  /** A key with scope `send`: phones report on behalf of their user. With scope `read` the page knows whose a number is. */
  apiKey: z.string().min(1).max(500),
  /** A signing key of the workspace, for tokens of its users: the page's feed needs it. */
  signingKid: z.string().min(1).max(100).optional(),
  signingSecret: z.string().min(1).max(500).optional(),
})
/** The phones of one workspace. */
export type WorkspacePhones = z.output<typeof phonesSchema>

/** Something to tap in a message. */
export interface PhoneLink {
  /** A button's text; empty for an address in the text or of the message itself. */
  readonly label: string
  readonly url: string
}

/** Who brought a text or an Alimtalk, and reports what became of it. */
export interface Carrier {
  delivered(): Promise<ReportAnswer>
  /** It could not be delivered. */
  failed(): Promise<ReportAnswer>
}

/** A message on its way to a phone. */
export interface ReceivedMessage {
  readonly channel: PhoneChannel
  readonly provider: ProviderName
  /** The product's id, or the provider's own where the message carries none. */
  readonly messageId: string
  /** Null where the message does not say. */
  readonly workspaceId: string | null
  /** Null for numbers: a carrier does not know the product's users. */
  readonly userId: string | null
  /** The device token or number it was addressed to. */
  readonly to: string
  readonly title: string
  readonly body: string
  readonly imageUrl: string | null
  readonly links: readonly PhoneLink[]
  /** Absent for push, which devices report. */
  readonly carrier?: Carrier
  /** A number whose message is going to fail: no simulated phone takes it. */
  readonly isDoomed?: boolean
}

/** A message as a phone holds it. */
export interface HeldMessage extends ReceivedMessage {
  /** Counts up with every message; the newest has the highest. */
  readonly position: number
  /** RFC 3339. */
  readonly at: string
  /** Every device or number it reached. */
  readonly targets: readonly string[]
  readonly deliveredAt: string | null
  readonly clickedAt: string | null
  readonly failedAt: string | null
  /** How often its link was fetched for a preview. */
  readonly previews: number
}

type Held = { -readonly [K in keyof HeldMessage]: HeldMessage[K] }

// 100,000 without content at some 400 bytes: 40 MB; the oldest are forgotten first.
const maxRemembered = 100_000
// What people look at is new: only these keep their text, 1 kB each.
const maxShown = 5_000
const maxTextLength = 2_000
const maxLinks = 10
const maxTargets = 20
const maxWorkspaces = 1_000
// Beyond that many simulated phones thinking at a time, further ones stay silent.
const maxThinking = 100_000

const phoneBrowser =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'
// How iMessage introduces itself when it fetches a preview.
const previewFetcher =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 ' +
  'facebookexternalhit/1.1 Facebot Twitterbot/1.0'

/** Every phone the sandbox plays. */
export class Phones {
  /** Told of every message that is new or changed. */
  onChange: ((message: HeldMessage) => void) | null = null
  private readonly workspaces = new Map<string, WorkspacePhones>()
  private readonly held = new Map<string, Held>()
  // Their messageIds in turn, over and over: the first key of a Map costs more with every one deleted before it (100 µs at the worst).
  private readonly heldIds: string[] = []
  private nextId = 0
  private shown: Held[] = []
  private position = 0
  private thinking = 0

  /** @param random 0 ≤ x < 1 */
  constructor(
    private readonly product: Product,
    private readonly random: () => number = Math.random,
  ) {}

  /** Registers a workspace's phones, or changes them. The oldest workspace goes when there are 1,000. */
  register(phones: WorkspacePhones): void {
    if (this.workspaces.size >= maxWorkspaces) this.workspaces.delete(this.workspaces.keys().next().value!)
    this.workspaces.set(phones.workspaceId, phones)
  }

  /** The registered workspaces, with their keys. */
  registered(): WorkspacePhones[] {
    return [...this.workspaces.values()]
  }

  /** One registered workspace. */
  workspace(workspaceId: string): WorkspacePhones | null {
    return this.workspaces.get(workspaceId) ?? null
  }

  /** A message reached its phone; a simulated one goes on by itself. The same message again is the same notification. */
  receive(message: ReceivedMessage): void {
    const before = this.held.get(message.messageId)
    if (before !== undefined) {
      if (!before.targets.includes(message.to) && before.targets.length < maxTargets) before.targets = [...before.targets, message.to]
      this.changed(before)
      return
    }
    const held = this.hold(message)
    this.changed(held)
    if (isSimulated(message.to) && message.isDoomed !== true) this.simulate(held)
  }

  /** The messages that match, newest first, among the last 5,000. */
  list(query: { workspaceId?: string; userId?: string; to?: string; limit: number }): HeldMessage[] {
    const found: HeldMessage[] = []
    for (let index = this.shown.length - 1; index >= 0 && found.length < query.limit; index--) {
      const message = this.shown[index]!
      if (query.workspaceId !== undefined && message.workspaceId !== query.workspaceId) continue
      if (query.userId !== undefined && message.userId !== query.userId) continue
      if (query.to !== undefined && !message.targets.includes(query.to)) continue
      found.push(message)
    }
    return found
  }

  /** Says whose a message is, where its provider did not know. */
  learnOwner(messageId: string, userId: string): void {
    const held = this.held.get(messageId)
    if (held === undefined || held.userId !== null) return
    held.userId = userId
    this.changed(held)
  }

  /**
   * Reports what a person did with a message, now.
   * @param link which of its links is tapped, from 0; null: the first that leads through the product
   */
  async report(messageId: string, report: PhoneReport, link: number | null = null): Promise<ReportAnswer> {
    const message = this.held.get(messageId)
    if (message === undefined) return { kind: 'no_such_message' }
    const answer = await this.tell(message, report, link)
    if (answer.kind !== 'reported') return answer
    const at = new Date().toISOString()
    if (report === 'delivered') message.deliveredAt ??= at
    else message.clickedAt ??= at
    this.changed(message)
    return answer
  }

  /** The carrier of a message gave up on it, and says so until the product knows. */
  async fail(messageId: string): Promise<void> {
    const message = this.held.get(messageId)
    if (message?.carrier === undefined || message.failedAt !== null) return
    const { carrier } = message
    message.failedAt = new Date().toISOString()
    this.changed(message)
    await this.product.callUntilTaken(() => carrier.failed())
  }

  private async tell(message: Held, report: PhoneReport, link: number | null): Promise<ReportAnswer> {
    if (message.carrier === undefined) return this.appReports(message, report)
    if (report === 'delivered') return message.carrier.delivered()
    const url = link === null ? message.links.find((one) => this.product.owns(one.url))?.url : message.links[link]?.url
    if (url === undefined)
      return { kind: 'no_link', detail: link === null ? 'It has no link that leads through the product.' : `It has no link ${link}.` }
    if (!this.product.owns(url))
      return { kind: 'no_link', detail: 'This link does not lead through the product, which therefore learns nothing of it.' }
    return this.open(url, phoneBrowser)
  }

  private open(url: string, userAgent: string): Promise<ReportAnswer> {
    return this.product.call({ method: 'GET', url, headers: { 'user-agent': userAgent } })
  }

  private async appReports(message: Held, report: PhoneReport): Promise<ReportAnswer> {
    const phones = message.workspaceId === null ? undefined : this.workspaces.get(message.workspaceId)
    if (phones === undefined) return { kind: 'no_credential', workspaceId: message.workspaceId ?? '' }
    const url = `${this.product.url}/v1/push/${message.messageId}/${report}`
    const headers = {
      authorization: `Bearer ${phones.apiKey}`,
      // A header carries bytes: a userId beyond Latin-1 travels as UTF-8.
      'on-behalf-of': Buffer.from(message.userId ?? '', 'utf8').toString('latin1'),
    }
    return this.product.call({ method: 'POST', url, headers })
  }

  private hold(message: ReceivedMessage): Held {
    const { channel, provider, messageId, workspaceId, userId, to, title, body, imageUrl, links, carrier, isDoomed } = message
    // Every field named: with a spread this was the slowest line of a send.
    const held: Held = {
      channel,
      provider,
      messageId,
      workspaceId,
      userId,
      to,
      title: title.slice(0, maxTextLength),
      body: body.slice(0, maxTextLength),
      imageUrl,
      links: links.slice(0, maxLinks),
      carrier,
      isDoomed,
      position: (this.position += 1),
      at: timeNow(),
      targets: [to],
      deliveredAt: null,
      clickedAt: null,
      failedAt: null,
      previews: 0,
    }
    this.remember(held)
    this.shown.push(held)
    // A quarter more before the cut: one copy per 1,250 messages instead of one per message.
    if (this.shown.length > maxShown * 1.25) {
      for (const old of this.shown.slice(0, -maxShown)) old.title = old.body = ''
      this.shown = this.shown.slice(-maxShown)
    }
    return held
  }

  private remember(held: Held): void {
    const oldest = this.heldIds[this.nextId]
    if (oldest !== undefined) this.held.delete(oldest)
    this.heldIds[this.nextId] = held.messageId
    this.nextId = (this.nextId + 1) % maxRemembered
    this.held.set(held.messageId, held)
  }

  private changed(message: Held): void {
    this.onChange?.(message)
  }

  private simulate(message: Held): void {
    const phones = message.workspaceId === null ? undefined : this.workspaces.get(message.workspaceId)
    if (phones === undefined || this.thinking >= maxThinking) return
    this.thinking += 1
    void this.live(message, { ...phones.behaviour, ...phones.channels[message.channel] }).finally(() => (this.thinking -= 1))
  }

  private async live(message: Held, behaviour: PhoneBehaviour['behaviour']): Promise<void> {
    const isDelivered = this.random() < behaviour.deliveredRate
    const clicks = this.random() < behaviour.clickedRate
    const isPreviewed = message.channel === 'sms' && this.random() < behaviour.previewRate
    if (!(await this.think(behaviour.delayMs))) return
    if (!isDelivered) return this.fail(message.messageId)
    await this.reportUntilTaken(message.messageId, 'delivered')
    if (isPreviewed) await this.preview(message)
    if (!clicks || !(await this.think(behaviour.delayMs))) return
    await this.reportUntilTaken(message.messageId, 'clicked')
  }

  private async preview(message: Held): Promise<void> {
    const link = message.links.find(({ url }) => this.product.owns(url))
    if (link === undefined) return
    await this.open(link.url, previewFetcher)
    message.previews += 1
    this.changed(message)
  }

  private async reportUntilTaken(messageId: string, report: PhoneReport): Promise<void> {
    await this.product.callUntilTaken(() => this.report(messageId, report))
  }

  // Between half and one and a half of the mean.
  private think(meanMs: number): Promise<boolean> {
    return this.product.pause(meanMs * (0.5 + this.random()))
  }
}
