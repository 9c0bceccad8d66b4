// Phones: what a receiver's device does with a message, reported to the product the way an app would.
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { z } from 'zod'

/** What a device can report. */
export const phoneReports = ['delivered', 'clicked'] as const
/** One of {@link phoneReports}. */
export type PhoneReport = (typeof phoneReports)[number]

/** Who the phones of a workspace report as, and how its simulated ones behave. */
export const phonesSchema = z.strictObject({
  workspaceId: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  /** A key with scope `send`: phones report on behalf of their user. */
  apiKey: z.string().min(1).max(500),
  behaviour: z
    .strictObject({
      /** Share of simulated phones that receive a message. */
      deliveredRate: z.number().min(0).max(1).default(0.95),
      /** Share of those receiving that tap it. */
      clickedRate: z.number().min(0).max(1).default(0.3),
      /** Mean time until delivered, and from there until clicked. */
      delayMs: z.int().min(0).max(3_600_000).default(1_000),
    })
    .default({ deliveredRate: 0.95, clickedRate: 0.3, delayMs: 1_000 }),
})
/** The phones of one workspace. */
export type WorkspacePhones = z.output<typeof phonesSchema>

/** A message that reached a phone. */
export interface ReceivedMessage {
  readonly messageId: string
  readonly workspaceId: string
  readonly userId: string
  /** The device token or number it was addressed to. */
  readonly to: string
}

/** What became of a report. */
export type ReportAnswer =
  | { readonly kind: 'reported' }
  | { readonly kind: 'no_such_message' }
  | { readonly kind: 'no_credential'; readonly workspaceId: string }
  | { readonly kind: 'refused'; readonly status: number | null; readonly detail: string }

// 100 bytes each: 20 MB; the oldest are forgotten first.
const maxRemembered = 200_000
const maxWorkspaces = 1_000
// Beyond that many simulated phones thinking at a time, further ones stay silent.
const maxThinking = 100_000
// A phone without a network tries again; 5 tries cover a gateway's restart of half a minute.
const triesAt = [0, 1_000, 3_000, 8_000, 20_000] as const
// Phones reporting at a time: many phones, but one small process plays them all.
const maxReporting = 64

/** Tokens of phones that answer by themselves. */
const isSimulated = (to: string): boolean => to.startsWith('sim_') || to.startsWith('+1555')

/** Every phone the sandbox plays. */
export class Phones {
  private readonly workspaces = new Map<string, WorkspacePhones>()
  private readonly received = new Map<string, ReceivedMessage>()
  private thinking = 0
  private readonly queue: (() => void)[] = []
  private reporting = 0
  private readonly stopping = new AbortController()

  /**
   * @param productUrl the product's public address, STEPCAST_PUBLIC_URL
   * @param random 0 ≤ x < 1
   */
  constructor(
    private readonly productUrl: string,
    private readonly random: () => number = Math.random,
  ) {}

  /** Registers a workspace's phones, or changes them. The oldest workspace goes when there are 1,000. */
  register(phones: WorkspacePhones): void {
    if (this.workspaces.size >= maxWorkspaces) this.workspaces.delete(this.workspaces.keys().next().value!)
    this.workspaces.set(phones.workspaceId, phones)
  }

  /** A message reached its phone; a simulated one goes on by itself. The same message again is the same notification. */
  receive(message: ReceivedMessage): void {
    const isNew = !this.received.has(message.messageId)
    if (isNew && this.received.size >= maxRemembered) this.received.delete(this.received.keys().next().value!)
    this.received.set(message.messageId, message)
    if (isNew && isSimulated(message.to)) this.simulate(message)
  }

  /** Reports what a person did with a message, now. */
  async report(messageId: string, report: PhoneReport): Promise<ReportAnswer> {
    const message = this.received.get(messageId)
    if (message === undefined) return { kind: 'no_such_message' }
    const phones = this.workspaces.get(message.workspaceId)
    if (phones === undefined) return { kind: 'no_credential', workspaceId: message.workspaceId }
    try {
      const answer = await request(`${this.productUrl}/v1/push/${messageId}/${report}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${phones.apiKey}`,
          // A header carries bytes: a userId beyond Latin-1 travels as UTF-8.
          'on-behalf-of': Buffer.from(message.userId, 'utf8').toString('latin1'),
        },
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
      })
      const detail = await answer.body.text()
      return answer.statusCode < 300 ? { kind: 'reported' } : { kind: 'refused', status: answer.statusCode, detail: detail.slice(0, 500) }
    } catch (cause) {
      return { kind: 'refused', status: null, detail: `the product is out of reach: ${(cause as Error).message}` }
    }
  }

  /** Simulated phones fall silent. */
  stop(): void {
    this.stopping.abort()
  }

  private simulate(message: ReceivedMessage): void {
    const phones = this.workspaces.get(message.workspaceId)
    if (phones === undefined || this.thinking >= maxThinking) return
    const { deliveredRate, clickedRate, delayMs } = phones.behaviour
    if (this.random() >= deliveredRate) return
    const clicks = this.random() < clickedRate
    this.thinking += 1
    void this.live(message, clicks, delayMs)
      .catch((error: Error) => {
        if (error.name !== 'AbortError') throw error
      })
      .finally(() => (this.thinking -= 1))
  }

  private async live(message: ReceivedMessage, clicks: boolean, delayMs: number): Promise<void> {
    await this.think(delayMs)
    await this.reportUntilTaken(message.messageId, 'delivered')
    if (!clicks) return
    await this.think(delayMs)
    await this.reportUntilTaken(message.messageId, 'clicked')
  }

  private async reportUntilTaken(messageId: string, report: PhoneReport): Promise<void> {
    for (const waitMs of triesAt) {
      await sleep(waitMs, undefined, { signal: this.stopping.signal })
      const answer = await this.inTurn(() => this.report(messageId, report))
      // A refusal of 4xx stays one; everything else is worth another try.
      if (answer.kind !== 'refused' || (answer.status !== null && answer.status < 500 && answer.status !== 429)) return
    }
  }

  // Between half and one and a half of the mean.
  private think(meanMs: number): Promise<void> {
    return sleep(meanMs * (0.5 + this.random()), undefined, { signal: this.stopping.signal })
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.reporting >= maxReporting) await new Promise<void>((resolve) => this.queue.push(resolve))
    this.reporting += 1
    try {
      return await work()
    } finally {
      this.reporting -= 1
      this.queue.shift()?.()
    }
  }
}
