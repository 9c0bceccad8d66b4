// Follows the feed: one stream after the other, each going on where the last one ended, until it is told to stop.
import { backoffMs, pause } from './backoff'
import { isRefused, type Connection } from './connection'
import { StepcastUnreachable } from './errors'
import { EventStreamParser, type StreamEvent } from './eventStream'
import type { FeedItem } from './item'

/** What to do with what happens, and where to begin. What a callback throws goes to `onError` and stops nothing. */
export interface FollowOptions {
  /** An item is new or has changed (a receipt of it was taken). `eventId` can be kept and given as `lastEventId` another day. */
  readonly onItem: (item: FeedItem, eventId: string) => void
  /** An item left the feed. Items that expire leave it silently at their `expiresAt`. */
  readonly onHidden: (messageId: string, eventId: string) => void
  /** How many items are unread: told at the beginning and whenever it may have changed. */
  readonly onUnread?: (unread: number) => void
  /** So much was missed that it is not told one by one: read the feed anew. Without this, the newest 100 items are told to `onItem`. */
  readonly onReset?: () => void
  /** The stream is open: what happens from here on is told. */
  readonly onOpen?: () => void
  /** Something went wrong; the next attempt is in so many milliseconds, null: there is none (the token is refused). */
  readonly onError?: (error: unknown, retryInMs: number | null) => void
  /** Where to go on: what changed since this event is told first. */
  readonly lastEventId?: string
}

// The server sends a comment every 25 s: after two of them are missing the connection is dead, whatever the network says.
const silentAtMostMs = 60_000
// A stream that lived this long was a good one: the next failure is the first again.
const goodAfterMs = 10_000
// What was told before and is the same again is not told twice; a person's screen holds fewer.
const rememberedAtMost = 500

/** Follows one user's feed from its making until {@link FeedFollower.stop}. */
export class FeedFollower {
  private readonly stopped = new AbortController()
  private readonly told = new Map<string, string>()
  private lastEventId: string

  constructor(
    private readonly connection: Connection,
    private readonly newest: () => Promise<readonly FeedItem[]>,
    private readonly options: FollowOptions,
  ) {
    this.lastEventId = options.lastEventId ?? ''
    void this.run()
  }

  /** Ends it; no callback is called afterwards. */
  stop(): void {
    this.stopped.abort()
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped
    for (let failures = 0; !signal.aborted; ) {
      const begun = Date.now()
      const error = await this.oneStream().then(
        () => null,
        (caught: unknown) => caught,
      )
      if (signal.aborted) return
      if (error !== null && isRefused(error)) return this.fail(error, null)
      if (Date.now() - begun >= goodAfterMs) failures = 0
      // A stream that ends by itself (they do after an hour, and when a service restarts) is no error, but many end at once.
      const waitMs = backoffMs(++failures, error)
      if (error !== null) this.fail(error, waitMs)
      await pause(waitMs, signal)
    }
  }

  private async oneStream(): Promise<void> {
    const silence = new AbortController()
    const signal = AbortSignal.any([this.stopped.signal, silence.signal])
    const giveUp = (): void => silence.abort(new StepcastUnreachable('The stream fell silent'))
    let timer = setTimeout(giveUp, silentAtMostMs)
    try {
      const resume: Record<string, string> = this.lastEventId === '' ? {} : { 'last-event-id': this.lastEventId }
      const headers = { accept: 'text/event-stream', ...resume }
      const path = this.options.onUnread === undefined ? '/v1/feed/stream' : '/v1/feed/stream?unread=true'
      const { body } = await this.connection.open({ method: 'GET', path, headers, signal })
      this.call(() => this.options.onOpen?.())
      const parser = new EventStreamParser()
      const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(timer)
        timer = setTimeout(giveUp, silentAtMostMs)
        for (const event of parser.push(value)) await this.tell(event)
        if (parser.lastEventId !== '') this.lastEventId = parser.lastEventId
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      // fetch's word for a connection that broke.
      throw error instanceof TypeError ? new StepcastUnreachable('The stream broke', { cause: error }) : error
    } finally {
      clearTimeout(timer)
      silence.abort()
    }
  }

  private async tell({ event, data, id }: StreamEvent): Promise<void> {
    if (this.stopped.signal.aborted) return
    const { onItem, onHidden, onUnread, onReset } = this.options
    if (event === 'item') {
      const item = JSON.parse(data) as FeedItem
      if (this.isNews(item.messageId, data)) this.call(() => onItem(item, id))
    } else if (event === 'hidden') {
      const { messageId } = JSON.parse(data) as { messageId: string }
      if (this.isNews(messageId, 'hidden')) this.call(() => onHidden(messageId, id))
    } else if (event === 'unread') {
      const { unread } = JSON.parse(data) as { unread: number }
      this.call(() => onUnread?.(unread))
    } else if (event === 'reset') {
      this.told.clear()
      if (onReset !== undefined) return this.call(onReset)
      for (const item of [...(await this.newest())].reverse()) {
        if (this.isNews(item.messageId, JSON.stringify(item))) this.call(() => onItem(item, id))
      }
    }
  }

  /** Whether this was not the last thing told of the message. */
  private isNews(messageId: string, what: string): boolean {
    if (this.told.get(messageId) === what) return false
    this.told.delete(messageId)
    this.told.set(messageId, what)
    if (this.told.size > rememberedAtMost) this.told.delete(this.told.keys().next().value!)
    return true
  }

  private call(callback: () => void): void {
    if (this.stopped.signal.aborted) return
    try {
      callback()
    } catch (error) {
      this.fail(error, 0)
    }
  }

  private fail(error: unknown, retryInMs: number | null): void {
    this.options.onError?.(error, retryInMs)
  }
}
