// The operator's list of messages that were possibly sent, and what to make of them (rule 12).
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, type Type } from '@nestjs/common'
import type { Pool } from 'pg'
import { z } from 'zod'
import { parseMessageId } from '@stepcast/contracts'
import { Caller, conflict, Describe, keyset, notFound, page, pageOf, pageQuery, RequireScope } from '@stepcast/service'
import { Dispatch } from './dispatch'
import { POOL } from './dispatcherTokens'
import { listUncertain, type Resolved, type UncertainMessage } from './uncertain'

const entry = z.object({
  messageId: z.string(),
  target: z.string().describe('a deviceId, or "number"'),
  provider: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  attempts: z.number().int(),
  userId: z.string().nullable(),
  receivedAt: z.iso.datetime(),
})
const word = z.strictObject({ action: z.enum(['sent', 'not_sent', 'resend']) })

/** The controller of a dispatcher, at its prefix such as `v1/sms`. */
export function unknownController(prefix: string): Type<unknown> {
  const order = keyset(`unknown of ${prefix}`, 'text', 'text')

  @Controller(prefix)
  class UnknownController {
    constructor(
      @Inject(POOL) private readonly pool: Pool,
      @Inject(Dispatch) private readonly dispatch: Dispatch<never>,
    ) {}

    /** Messages with an attempt of unknown outcome that nobody has resolved: one person may have got each twice or not at all. */
    @Get('unknown')
    @RequireScope('admin', 'read')
    @Describe({
      summary: 'List messages of unknown outcome',
      description: 'An attempt ended without an answer: possibly sent. Kept 30 days, or until resolved.',
      answer: z.object({ items: z.array(entry), nextCursor: z.string().nullable() }),
    })
    async list(
      @Query({ schema: pageQuery }) query: z.output<typeof pageQuery>,
      @Caller() { workspaceId }: Caller,
    ): Promise<{ items: UncertainMessage[]; nextCursor: string | null }> {
      const asked = page(query, order)
      const after = asked.after && { messageId: asked.after[0], target: asked.after[1] }
      const found = await listUncertain(this.pool, workspaceId, asked.limit + 1, after)
      return pageOf(found, asked, order, ({ messageId, target }) => [messageId, target])
    }

    /** Takes the operator's word and takes the entry off the list. 404: no such message here. 409: it says why. */
    @Post('unknown/:messageId/:target')
    @HttpCode(204)
    @RequireScope('admin')
    @Describe({
      summary: 'Resolve a message of unknown outcome',
      description:
        '`sent`: the provider has it, reported as requested. `not_sent`: it provably has not, reported as failed(not_sent). `resend`: ' +
        'attempted again now; 409 when expiresAt has passed. Said again it changes nothing; another word later is a 409.',
    })
    async resolve(
      @Param('messageId') messageId: string,
      @Param('target') target: string,
      @Body({ schema: word }) { action }: z.output<typeof word>,
      @Caller() { workspaceId }: Caller,
    ): Promise<void> {
      const resolved: Resolved =
        parseMessageId(messageId) === null
          ? { kind: 'missing' }
          : await this.dispatch.resolve({ workspaceId, messageId, target, as: action })
      if (resolved.kind === 'missing') throw notFound('This workspace has no message of that id and target here.')
      if (resolved.kind === 'refused') throw conflict(resolved.why)
    }
  }
  return UnknownController
}
