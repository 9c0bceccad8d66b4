// What the page asks: the phones and their messages, live; the people behind them and tokens for their feeds; the certificate.
import { createHash, timingSafeEqual } from 'node:crypto'
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { z } from 'zod'
import { conflict, Describe, digits, ENV, forbidden, RequireScope, type Env } from '@stepcast/service'
import { providerNames } from './arrivals'
import { callbackFaults, requestFaults } from './faults'
import { isLoopback } from './loopback'
import { TlsAddress } from './tlsAddress'
import { Live, type ShownMessage } from './live'
import { People, type Person } from './people'
import { Phones, type WorkspacePhones } from './phones'
import { Product } from './product'
import { shown } from './shown'

const phonesQuery = z.strictObject({
  workspaceId: z.string().optional(),
  userId: z.string().optional(),
  to: z.string().optional(),
  limit: digits(1, 500).default(100),
})

// Both hashed: of one length, so that comparing takes the same time for each guess.
const isSame = (one: string, other: string): boolean => {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer]
  return timingSafeEqual(a, b)
}

/** The page's routes. */
@Controller()
@RequireScope('public')
export class PageController {
  constructor(
    private readonly phones: Phones,
    private readonly people: People,
    private readonly live: Live,
    private readonly product: Product,
    private readonly tls: TlsAddress,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** What the page is made of: the product's address, the registered workspaces without their keys, and what can go wrong. */
  @Get('about')
  @Describe({ summary: 'Read what this sandbox plays' })
  about(): object {
    return {
      productUrl: this.product.url,
      tlsPort: this.tls.port,
      workspaces: this.phones.registered().map(withoutKeys),
      providers: providerNames,
      requestFaults,
      callbackFaults,
    }
  }

  /** What the phones hold, newest first, among the last 5,000 messages. */
  @Get('phones')
  @Describe({ summary: 'List what the phones hold' })
  list(@Query({ schema: phonesQuery }) query: z.output<typeof phonesQuery>): { items: ShownMessage[] } {
    const held = this.phones.list(query)
    for (const { messageId, workspaceId, userId } of held) this.people.identify(messageId, workspaceId, userId)
    return { items: held.map((message) => shown(message, this.product)) }
  }

  /** The same as it changes: `message` events with a message that is new or changed. What changes too fast for eyes is left out. */
  @Get('live')
  @Describe({ summary: 'Follow what the phones hold' })
  follow(@Res() response: Response): void {
    this.live.open(response)
  }

  /** The people of the registered workspaces: of sequences that run, and of what phones hold. */
  @Get('people')
  @Describe({ summary: 'List people' })
  async listPeople(): Promise<{ items: Person[] }> {
    return { items: await this.people.list() }
  }

  /**
   * A user token as the person's app would get it from its backend, good for 15 minutes; for who asks this machine by its own name, as its
   * page does, or knows SANDBOX_SECRET (`Authorization: Bearer`). 403 for others, 409 when no signing key is registered.
   */
  @Get('people/:workspaceId/:userId/token')
  @Describe({ summary: 'Make a token for a person' })
  async token(
    @Param() person: { workspaceId: string; userId: string },
    @Req() request: Request,
  ): Promise<{ token: string; expiresAt: string }> {
    if (!this.mayHaveTokens(request)) throw forbidden('Tokens are given to localhost only, and to who knows SANDBOX_SECRET.')
    const token = await this.people.token(person)
    if (token === null)
      throw conflict(
        `The signing key of workspace ${person.workspaceId} is not registered: POST /phones with signingKid and signingSecret.`,
      )
    return token
  }

  // A page of another name that resolves to this machine must not read tokens, nor may another machine.
  private mayHaveTokens(request: Request): boolean {
    const { SANDBOX_SECRET: secret } = this.env
    return isLoopback(request.hostname ?? '') || (!!secret && isSame(request.headers.authorization ?? '', `Bearer ${secret}`))
  }

  /** The certificate of the TLS address, to be trusted by clients (NODE_EXTRA_CA_CERTS). */
  @Get('ca.pem')
  @Describe({ summary: 'Get the certificate of the TLS address' })
  certificate(@Res() response: Response): void {
    response.type('application/x-pem-file').send(this.tls.certificate)
  }
}

const withoutKeys = ({ workspaceId, behaviour, channels, signingKid }: WorkspacePhones): object => ({
  workspaceId,
  behaviour,
  channels,
  hasFeed: signingKid !== undefined,
})
