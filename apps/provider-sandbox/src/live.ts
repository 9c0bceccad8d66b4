// The live page: what phones hold, told as it changes (Server-Sent Events).
import type { ServerResponse } from 'node:http'
import type { HeldMessage, PhoneLink } from './phones'

/** A message as the page shows it. */
export interface ShownMessage {
  readonly position: number
  readonly messageId: string
  readonly channel: HeldMessage['channel']
  readonly provider: string
  readonly workspaceId: string | null
  readonly userId: string | null
  readonly to: readonly string[]
  readonly at: string
  readonly title: string
  readonly body: string
  readonly imageUrl: string | null
  /** `tracked`: it leads through the product, so that a tap counts. */
  readonly links: readonly (PhoneLink & { readonly tracked: boolean })[]
  readonly deliveredAt: string | null
  readonly clickedAt: string | null
  readonly failedAt: string | null
  readonly previews: number
}

// A person watches a few pages; a forgotten script must not collect connections.
const maxPages = 20
// Eyes need no more than seven changes a second; more than 300 at once nobody reads.
const flushMs = 150
const maxWaiting = 300
const maxUnreadBytes = 1_000_000
const heartbeatMs = 20_000

/** The open pages. Costs nothing while there is none. */
export class Live {
  private readonly pages = new Set<ServerResponse>()
  private readonly waiting = new Map<string, HeldMessage>()
  private timer: NodeJS.Timeout | null = null
  private lastWriteMs = 0

  /** @param show how a message is shown */
  constructor(private readonly show: (message: HeldMessage) => ShownMessage) {}

  /** Whether anybody looks. */
  get isWatched(): boolean {
    return this.pages.size > 0
  }

  /** Opens a stream of `message` events. The oldest of 20 pages gives way to a new one. */
  open(response: ServerResponse): void {
    if (this.pages.size >= maxPages) this.pages.values().next().value?.end()
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' })
    response.write('retry: 1000\n\n')
    this.pages.add(response)
    response.on('close', () => this.left(response))
    this.timer ??= setInterval(() => this.flush(), flushMs)
  }

  /** A message is new or changed. */
  changed(message: HeldMessage): void {
    if (!this.isWatched) return
    this.waiting.delete(message.messageId)
    this.waiting.set(message.messageId, message)
    if (this.waiting.size > maxWaiting) this.waiting.delete(this.waiting.keys().next().value!)
  }

  /** Ends all streams. */
  stop(): void {
    for (const page of this.pages) page.end()
    this.pages.clear()
    this.rest()
  }

  private left(page: ServerResponse): void {
    this.pages.delete(page)
    if (!this.isWatched) this.rest()
  }

  private rest(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    this.waiting.clear()
  }

  private flush(): void {
    const isSilent = Date.now() - this.lastWriteMs > heartbeatMs
    if (this.waiting.size === 0 && !isSilent) return
    const events = [...this.waiting.values()].map((message) => `event: message\ndata: ${JSON.stringify(this.show(message))}\n\n`)
    this.waiting.clear()
    this.lastWriteMs = Date.now()
    for (const page of this.pages) {
      if (page.writableLength > maxUnreadBytes) page.destroy()
      else page.write(events.length > 0 ? events.join('') : ': still here\n\n')
    }
  }
}
