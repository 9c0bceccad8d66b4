// Open feeds: Server-Sent Events to each connected client of what is new or changed, whichever instance wrote it.
import type { ServerResponse } from 'node:http'
import { Client, type Pool } from 'pg'
import type { UserName } from '@stepcast/replica'
import { Problem, unavailable, type Log } from '@stepcast/service'
import { announcements, feedOf, readAnnouncement } from './announce'
import { inFeed, itemColumns, unreadInFeed, type FeedItem } from './feed'

/** What the streams need. */
export interface FeedStreamsOptions {
  readonly pool: Pool
  readonly databaseUrl: string
  readonly log: Log
  /** Milliseconds between heartbeats; 25,000: proxies cut silent connections after 30 s or more. */
  readonly heartbeatMs?: number
}

/** What a stream shall tell. */
export interface StreamWishes {
  /** The id of the last event seen; null: of no interest. */
  readonly lastEventId: string | null
  /** Also how many items are unread. */
  readonly unread: boolean
}

/** Headers of a stream. */
export const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const

interface Stream extends UserName {
  readonly feed: string
  readonly response: ServerResponse
  readonly unread: boolean
  /** What happens while the stream tells what was missed, to be told after that; null once it has. */
  held: string[] | null
}

/** `userId` null: erased. */
type Row = FeedItem & { workspaceId: string; userId: string | null; hidden: boolean; updatedAt: Date }

// A guess at what one process's memory bears: some 30 kB of socket and buffers each are 300 MB.
const streamsAtMost = 10_000
// A person's phones, tablets and tabs; whoever opens more has lost track of them.
const streamsOfUserAtMost = 8
// A token is checked when a stream opens; an hour later its client comes back with the one it then has.
const streamMs = 3_600_000
// A client that does not read is cut off; it finds what it missed in its feed.
const unreadBytesAtMost = 1_000_000
const itemsAtOnce = 1_000
const waitingAtMost = 100_000
// Commits become visible later than the time they carry: what is this much older than the last event is told again. A transaction takes
// milliseconds; the slowest recovery that a chaos run measured took 35 s.
const overlapMs = 60_000
// Beyond this many it is cheaper to read the feed anew than to tell each.
const resumedAtMost = 100
// Resuming takes milliseconds; whoever has this much happen to them meanwhile comes back and resumes again.
const heldAtMost = 1_000

const tooMany = (): Problem =>
  new Problem({
    status: 429,
    headers: { 'retry-after': '30' },
    detail: `This user has ${streamsOfUserAtMost} open streams already: close those that nobody reads.`,
  })

/** The streams of one process. Nothing runs while none is open. */
export class FeedStreams {
  private readonly byFeed = new Map<string, Set<Stream>>()
  private count = 0
  private listener: Promise<Client> | null = null
  private heartbeat: NodeJS.Timeout | null = null
  /** Feeds by the messageIds announced of them. */
  private readonly waiting = new Map<string, string>()
  private telling = false

  constructor(private readonly options: FeedStreamsOptions) {}

  /**
   * Opens a stream on a response: `item` events with a feed item that is new or changed, `hidden` events with a messageId. An event may
   * come twice. With the id of the last event seen, what changed since is told first, or one `reset` where that is more than 100 items.
   * Then comes an id without an event: a stream that breaks before its first event goes on from there.
   * Throws a 429 problem when this user has eight streams here, 503 when this process has 10,000 or the database cannot be listened to.
   */
  async open(user: UserName, response: ServerResponse, { lastEventId, unread }: StreamWishes): Promise<void> {
    if (this.count >= streamsAtMost) throw unavailable(`This instance has ${streamsAtMost} open feeds already: try again.`)
    const feed = feedOf(user.workspaceId, user.userId)
    await (this.listener ??= this.listen())
    if (response.destroyed) return
    if ((this.byFeed.get(feed)?.size ?? 0) >= streamsOfUserAtMost) throw tooMany()
    const stream: Stream = { ...user, feed, response, unread, held: [] }
    this.add(stream)
    const now = await this.now()
    const missed = lastEventId === null ? [] : await this.changedSince(user, lastEventId)
    // Ended meanwhile: its client comes back.
    if (response.writableEnded || response.destroyed) return
    response.writeHead(200, streamHeaders)
    if (missed === null) write(response, `id: ${now}\nevent: reset\ndata: {}\n\n`)
    else for (const row of missed) write(response, textOf(row))
    // Behind what was missed: a stream that breaks before this begins there again.
    write(response, `id: ${now}\n: open\n\n`)
    for (const text of stream.held!) write(response, text)
    stream.held = null
    if (unread) await this.tellUnread([stream]).catch((error: unknown) => this.failed(error))
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
    for (const { messageId, feed } of readAnnouncement(payload)) if (this.byFeed.has(feed)) this.waiting.set(messageId, feed)
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
        const announced = new Map([...this.waiting].slice(0, itemsAtOnce))
        for (const messageId of announced.keys()) this.waiting.delete(messageId)
        const changed = new Set<Stream>()
        for (const row of await this.load([...announced.keys()])) {
          for (const stream of this.byFeed.get(announced.get(row.messageId)!) ?? []) {
            // Whose an erased item was nobody knows any more; that it is hidden tells nothing to whoever never had it.
            if (row.userId !== null && !isOf(stream, row)) continue
            send(stream, textOf(row))
            if (stream.unread) changed.add(stream)
          }
        }
        await this.tellUnread([...changed])
      }
    } catch (error) {
      this.failed(error)
    } finally {
      this.telling = false
    }
  }

  private failed(error: unknown): void {
    this.options.log.warn({ error: (error as Error).message }, 'new items cannot be read: clients connect again')
    this.waiting.clear()
    this.closeAll()
  }

  private async tellUnread(streams: readonly Stream[]): Promise<void> {
    if (streams.length === 0) return
    const { rows } = await this.options.pool.query<UserName & { unread: number }>(
      `SELECT w AS "workspaceId", u AS "userId", count(message_id) AS unread
       FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS asked (w, u)) AS users
       LEFT JOIN messages ON workspace_id = w AND user_id = u AND ${unreadInFeed}
       GROUP BY w, u`,
      [streams.map(({ workspaceId }) => workspaceId), streams.map(({ userId }) => userId)],
    )
    for (const row of rows) {
      const text = `event: unread\ndata: ${JSON.stringify({ unread: row.unread })}\n\n`
      for (const stream of streams) if (isOf(stream, row)) send(stream, text)
    }
  }

  // The database's clock, which every id is of, in milliseconds.
  private async now(): Promise<number> {
    const { rows } = await this.options.pool.query<{ now: Date }>('SELECT clock_timestamp() AS now')
    return rows[0]!.now.getTime()
  }

  private async load(messageIds: readonly string[]): Promise<Row[]> {
    const { rows } = await this.options.pool.query<Row>(
      `SELECT ${rowColumns} FROM messages WHERE message_id = ANY($1::text[]) AND answer = 'requested'
       ORDER BY updated_at, created_at, message_id`,
      [messageIds],
    )
    return rows
  }

  /** What changed since an event; null where that cannot be told one by one: too much, or the id is none of ours. */
  private async changedSince({ workspaceId, userId }: UserName, eventId: string): Promise<Row[] | null> {
    // Milliseconds since the epoch; with 14 digits years have four, as PostgreSQL reads them.
    if (!/^\d{1,14}$/.test(eventId)) return null
    const { rows } = await this.options.pool.query<Row>(
      `SELECT ${rowColumns} FROM messages WHERE workspace_id = $1 AND user_id = $2 AND answer = 'requested'
         AND updated_at >= least($3, clock_timestamp()) - make_interval(secs => $5)
       ORDER BY updated_at LIMIT $4`,
      [workspaceId, userId, new Date(Number(eventId)).toISOString(), resumedAtMost + 1, overlapMs / 1_000],
    )
    return rows.length > resumedAtMost ? null : rows
  }
}

const rowColumns = `${itemColumns}, workspace_id AS "workspaceId", user_id AS "userId", updated_at AS "updatedAt",
  user_id IS NULL OR NOT (${inFeed}) AS hidden`

// Feeds are known by a short hash: whoever shares it must not hear of the other.
const isOf = (stream: Stream, { workspaceId, userId }: Pick<Row, 'workspaceId' | 'userId'>): boolean =>
  workspaceId === stream.workspaceId && userId === stream.userId

function textOf({ workspaceId: _workspaceId, userId: _userId, hidden, updatedAt, ...item }: Row): string {
  const [event, data] = hidden ? ['hidden', { messageId: item.messageId }] : ['item', item]
  return `id: ${updatedAt.getTime()}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function send({ response, held }: Stream, text: string): void {
  if (held === null) write(response, text)
  else if (held.length < heldAtMost) held.push(text)
  else response.destroy()
}

function write(response: ServerResponse, text: string): void {
  if (response.writableLength > unreadBytesAtMost) response.destroy()
  else if (!response.writableEnded) response.write(text)
}
