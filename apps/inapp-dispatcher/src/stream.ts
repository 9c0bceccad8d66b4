// Open feeds: Server-Sent Events to each connected client of what is new or changed, whichever instance wrote it.
import type { ServerResponse } from 'node:http'
import { Client, type Pool } from 'pg'
import type { UserName } from '@stepcast/replica'
import { unavailable, type Log } from '@stepcast/service'
import { announcements, feedOf, readAnnouncement } from './announce'
import { inFeed, itemColumns, type FeedItem } from './feed'

/** What the streams need. */
export interface FeedStreamsOptions {
  readonly pool: Pool
  readonly databaseUrl: string
  readonly log: Log
  /** Milliseconds between heartbeats; 25,000: proxies cut silent connections after 30 s or more. */
  readonly heartbeatMs?: number
}

interface Stream extends UserName {
  readonly feed: string
  readonly response: ServerResponse
}

type Row = FeedItem & { workspaceId: string; userId: string; hidden: boolean; updatedAt: Date }

// A guess at what one process's memory bears: some 30 kB of socket and buffers each are 300 MB.
const streamsAtMost = 10_000
// A token is checked when a stream opens; an hour later its client comes back with the one it then has.
const streamMs = 3_600_000
// A client that does not read is cut off; it finds what it missed in its feed.
const unreadBytesAtMost = 1_000_000
const itemsAtOnce = 1_000
const waitingAtMost = 100_000
// Commits become visible later than the time they carry: what is this much older than the last event is told again.
const overlapMs = 10_000
const resumedAtMost = 100

/** The streams of one process. Nothing runs while none is open. */
export class FeedStreams {
  private readonly byFeed = new Map<string, Set<Stream>>()
  private count = 0
  private listener: Promise<Client> | null = null
  private heartbeat: NodeJS.Timeout | null = null
  private waiting = new Set<string>()
  private telling = false

  constructor(private readonly options: FeedStreamsOptions) {}

  /**
   * Opens a stream on a response: `item` events with a feed item that is new or changed, `hidden` events with a messageId. An event may
   * come twice. With the id of the last event seen, what changed since is told first (100 items at most).
   * Throws a 503 problem when this process has 10,000 streams or the database cannot be listened to.
   */
  async open(user: UserName, response: ServerResponse, lastEventId: string | null): Promise<void> {
    if (this.count >= streamsAtMost) throw unavailable(`This instance has ${streamsAtMost} open feeds already: try again.`)
    await (this.listener ??= this.listen())
    if (response.destroyed) return
    const stream: Stream = { ...user, feed: feedOf(user.workspaceId, user.userId), response }
    this.add(stream)
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' })
    response.write(': open\n\n')
    const since = Number(lastEventId ?? NaN)
    if (Number.isSafeInteger(since)) for (const row of await this.changedSince(user, since)) tell(stream, row)
  }

  /** Ends every stream; their clients connect again. */
  closeAll(): void {
    for (const streams of [...this.byFeed.values()]) for (const stream of [...streams]) stream.response.end()
  }

  /** Ends every stream and stops listening. */
  async stop(): Promise<void> {
    this.closeAll()
    const listener = this.listener
    this.listener = null
    await listener?.then((client) => client.end()).catch(() => {})
  }

  private add(stream: Stream): void {
    const streams = this.byFeed.get(stream.feed) ?? new Set()
    this.byFeed.set(stream.feed, streams.add(stream))
    this.count++
    this.heartbeat ??= setInterval(() => this.beat(), this.options.heartbeatMs ?? 25_000)
    const aged = setTimeout(() => stream.response.end(), streamMs)
    stream.response.once('close', () => {
      clearTimeout(aged)
      streams.delete(stream)
      if (streams.size === 0) this.byFeed.delete(stream.feed)
      if (--this.count > 0) return
      clearInterval(this.heartbeat!)
      this.heartbeat = null
    })
  }

  private beat(): void {
    for (const streams of this.byFeed.values()) for (const { response } of streams) write(response, ': heartbeat\n\n')
  }

  private async listen(): Promise<Client> {
    const client = new Client({ connectionString: this.options.databaseUrl, application_name: 'inapp-dispatcher streams', keepAlive: true })
    const lost = (error?: Error): void => {
      if (this.listener === null) return
      this.options.log.warn({ error: error?.message }, 'the connection that hears of new items is gone: clients connect again')
      this.listener = null
      // What is announced from here on would be missed: whoever connects again reads the feed anew.
      this.closeAll()
    }
    client.on('error', lost).on('end', () => lost())
    client.on('notification', ({ payload }) => this.hear(payload ?? ''))
    try {
      await client.connect()
      await client.query(`LISTEN ${announcements}`)
      return client
    } catch (error) {
      this.listener = null
      await client.end().catch(() => {})
      throw unavailable(`The feed cannot be listened to: ${(error as Error).message}`)
    }
  }

  private hear(payload: string): void {
    for (const { messageId, feed } of readAnnouncement(payload)) if (this.byFeed.has(feed)) this.waiting.add(messageId)
    if (this.waiting.size > waitingAtMost) {
      this.waiting.clear()
      this.closeAll()
    }
    if (!this.telling && this.waiting.size > 0) void this.tellWaiting()
  }

  // One query at a time, each for all that was announced meanwhile: order holds and a burst costs few queries.
  private async tellWaiting(): Promise<void> {
    this.telling = true
    try {
      while (this.waiting.size > 0) {
        const messageIds = [...this.waiting].slice(0, itemsAtOnce)
        for (const messageId of messageIds) this.waiting.delete(messageId)
        for (const row of await this.load(messageIds)) {
          for (const stream of this.byFeed.get(feedOf(row.workspaceId, row.userId)) ?? []) tell(stream, row)
        }
      }
    } catch (error) {
      this.options.log.warn({ error: (error as Error).message }, 'new items cannot be read: clients connect again')
      this.waiting.clear()
      this.closeAll()
    } finally {
      this.telling = false
    }
  }

  private async load(messageIds: readonly string[]): Promise<Row[]> {
    const { rows } = await this.options.pool.query<Row>(
      `SELECT ${rowColumns} FROM messages WHERE message_id = ANY($1::text[]) AND answer = 'requested' AND user_id IS NOT NULL
       ORDER BY created_at, message_id`, [messageIds])
    return rows
  }

  private async changedSince({ workspaceId, userId }: UserName, since: number): Promise<Row[]> {
    const { rows } = await this.options.pool.query<Row>(
      `SELECT ${rowColumns} FROM messages WHERE workspace_id = $1 AND user_id = $2 AND answer = 'requested' AND updated_at >= $3
       ORDER BY updated_at LIMIT $4`,
      [workspaceId, userId, new Date(Math.min(since, Date.now()) - overlapMs), resumedAtMost],
    )
    return rows
  }
}

const rowColumns = `${itemColumns}, workspace_id AS "workspaceId", user_id AS "userId", updated_at AS "updatedAt",
  NOT (${inFeed}) AS hidden`

function tell(stream: Stream, { workspaceId, userId, hidden, updatedAt, ...item }: Row): void {
  if (workspaceId !== stream.workspaceId || userId !== stream.userId) return
  const [event, data] = hidden ? ['hidden', { messageId: item.messageId }] : ['item', item]
  write(stream.response, `id: ${updatedAt.getTime()}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}

function write(response: ServerResponse, text: string): void {
  if (response.writableLength > unreadBytesAtMost) response.destroy()
  else if (!response.writableEnded) response.write(text)
}
