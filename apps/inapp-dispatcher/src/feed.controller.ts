// The feed API of users' clients.
import { Body, Controller, Delete, Get, Headers, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import type { Pool } from 'pg'
import { z } from 'zod'
import { KafkaConnection } from '@stepcast/kafka'
import type { UserName } from '@stepcast/replica'
import { categories } from '@stepcast/template'
import { Answers, Caller, Describe, notFound, page, pageQuery, RequireScope } from '@stepcast/service'
import { countUnread, feedOrder, hideItem, listFeed, readStates, type FeedItem, type Receipt } from './feed'
import { takeReceipt } from './receipts'
import { FeedStreams, streamHeaders } from './stream'
import { POOL } from './tokens'

const feedQuery = pageQuery.extend({
  readState: z.enum(readStates).default('all'),
  category: z
    .union([z.string(), z.array(z.string())])
    .transform((given) => [given].flat().flatMap((names) => names.split(',')))
    .pipe(z.array(z.enum(categories)).max(categories.length))
    .optional()
    .describe(`One of ${categories.join(', ')}; several by commas or by repeating it`),
})
const streamQuery = z.object({ unread: z.enum(['true', 'false']).default('false').describe('true: `unread` events as well') })
type StreamQuery = z.infer<typeof streamQuery>
const click = z.strictObject({ buttonId: z.string().min(1).max(128).optional() }).optional()
type Click = z.infer<typeof click>
type FeedQuery = z.infer<typeof feedQuery>

const moment = z.string().nullable().describe('RFC 3339, UTC; null where there was no such receipt')
const feedPage = z.object({
  items: z.array(
    z.object({
      messageId: z.string(),
      templateId: z.string(),
      category: z.string(),
      content: z
        .object({
          title: z.string(),
          body: z.string(),
          imageUrl: z.string().nullable(),
          buttons: z.array(z.object({ id: z.string(), label: z.string(), url: z.string().nullable() })),
        })
        .describe('Rendered'),
      createdAt: z.string(),
      expiresAt: z.string().nullable().describe('When it leaves the feed; null: it is kept 90 days'),
      deliveredAt: moment,
      viewedAt: moment,
      clickedAt: moment,
    }),
  ),
  nextCursor: z.string().nullable(),
})
const receiptAnswers = "204 once Kafka has the receipt, also when repeated; 404: not this user's message; 503: not taken, send it again."

@Controller('v1/feed')
@RequireScope('user')
export class FeedController {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Inject(KafkaConnection) private readonly connection: KafkaConnection,
    @Inject(FeedStreams) private readonly streams: FeedStreams,
  ) {}

  /**
   * The user's feed, newest first; `readState=unread` leaves out what was viewed or clicked, `read` the rest; `category` all others.
   * Items are kept until they expire, 90 days at most.
   */
  @Get()
  @Describe({
    summary: "Read the user's feed",
    description: 'Newest first. `unread`: neither viewed nor clicked. Items are kept until they expire, 90 days at most.',
    answer: feedPage,
  })
  list(
    @Caller() caller: Caller,
    @Query({ schema: feedQuery }) query: FeedQuery,
  ): Promise<{ items: FeedItem[]; nextCursor: string | null }> {
    const filter = { readState: query.readState, categories: query.category ?? null }
    return listFeed(this.pool, userOf(caller), filter, page(query, feedOrder))
  }

  /** How many items are unread: neither viewed nor clicked. */
  @Get('unread-count')
  @Describe({ summary: 'Count unread messages', answer: z.object({ unread: z.int() }) })
  async unreadCount(@Caller() caller: Caller): Promise<{ unread: number }> {
    return { unread: await countUnread(this.pool, userOf(caller)) }
  }

  /**
   * Server-Sent Events: `item` with a feed item that is new or changed, `hidden` with `{ messageId }`, with `?unread=true` also
   * `unread` with `{ unread }`, a comment every 25 s. An event may come twice. `Last-Event-ID` brings what changed since, or `reset`
   * where that is more than 100 items: read the feed anew. Items that expire leave silently at their `expiresAt`. A stream ends after
   * an hour, or with its credentials: connect again. A user may have eight; 429 beyond.
   */
  @Get('stream')
  @Answers('text/event-stream')
  @Describe({
    summary: 'Follow the feed',
    description:
      'Server-Sent Events: `item` with a feed item that is new or changed, `hidden` with `{ messageId }`, with ' +
      '`?unread=true` also `unread` with `{ unread }`, a comment every 25 s. An event may come twice. `Last-Event-ID` brings what ' +
      'changed since, or `reset` where that is more than 100 items: read the feed anew. Items that expire leave silently at their `expiresAt`. ' +
      'A stream ends after an hour, or with its credentials: connect again. A user may have eight; 429 beyond.',
  })
  async stream(
    @Caller() caller: Caller,
    @Query({ schema: streamQuery }) { unread }: StreamQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    if (request.method === 'HEAD') return void response.writeHead(200, streamHeaders).end()
    await this.streams.open(userOf(caller), response, { lastEventId: lastEventId ?? null, unread: unread === 'true' })
  }

  /** The client has the message. 204 once Kafka has the receipt, also when repeated; 404: not this user's message; 503: send it again. */
  @Post(':messageId/delivered')
  @HttpCode(204)
  @Describe({ summary: 'Tell that the client has the message', description: receiptAnswers })
  delivered(@Caller() caller: Caller, @Param('messageId') messageId: string): Promise<void> {
    return this.take(caller, messageId, 'delivered')
  }

  /** The user has seen the message. Answers as `delivered`. */
  @Post(':messageId/viewed')
  @HttpCode(204)
  @Describe({ summary: 'Tell that the user has seen the message', description: receiptAnswers })
  viewed(@Caller() caller: Caller, @Param('messageId') messageId: string): Promise<void> {
    return this.take(caller, messageId, 'viewed')
  }

  /** The user has clicked the message, or the button named. Answers as `delivered`; 422: the message has no such button. */
  @Post(':messageId/clicked')
  @HttpCode(204)
  @Describe({ summary: 'Tell that the user has clicked', description: `${receiptAnswers} 422: the message has no such button.` })
  clicked(@Caller() caller: Caller, @Param('messageId') messageId: string, @Body({ schema: click }) body: Click): Promise<void> {
    return this.take(caller, messageId, 'clicked', body?.buttonId)
  }

  /** Hides the message from the feed, for good; repeated: the same. Receipts are still taken. 404: not this user's message. */
  @Delete(':messageId')
  @HttpCode(204)
  @Describe({ summary: 'Hide a message', description: "For good; receipts are still taken. 404: not this user's message." })
  async hide(@Caller() caller: Caller, @Param('messageId') messageId: string): Promise<void> {
    if (!(await hideItem(this.pool, userOf(caller), messageId))) throw notFound(`There is no message ${messageId} in this user's feed.`)
  }

  private take(caller: Caller, messageId: string, receipt: Receipt, buttonId?: string): Promise<void> {
    const source = caller.via === 'user_token' ? 'client' : 'server'
    return takeReceipt(this.connection, this.pool, userOf(caller), {
      messageId,
      receipt,
      source,
      ...(buttonId === undefined ? {} : { buttonId }),
    })
  }
}

// The scope `user` admits only callers that are, or act for, a user.
const userOf = ({ workspaceId, userId }: Caller): UserName => ({ workspaceId, userId: userId! })
