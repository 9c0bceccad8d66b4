// The calls about workspaces and their keys, the gateway's own.
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query } from '@nestjs/common'
import { Seal } from '@stepcast/accounts'
import { OutboxRelay } from '@stepcast/postgres'
import {
  answerWith,
  Caller,
  Describe,
  fingerprintOf,
  forbidden,
  IdempotencyKey,
  idempotent,
  notFound,
  page,
  pageOf,
  pageQuery,
  type Problem,
  RequireScope,
  taken,
  unavailable,
} from '@stepcast/service'
import { Pool } from 'pg'
import { z } from 'zod'
import { apiKey, type ApiKey, apiKeyOrder, listApiKeys, makeApiKey, newApiKey, revokeApiKey } from './apiKeys'
import { Authentication } from './authentication'
import { listSigningKeys, makeSigningKey, revokeSigningKey, signingKey, type SigningKey, signingKeyOrder } from './signingKeys'
import {
  changeWorkspace,
  makeWorkspace,
  newWorkspace,
  readWorkspace,
  tellWorkspace,
  workspace,
  type Workspace,
  workspaceChange,
} from './workspaces'

const madeApiKey = apiKey.extend({ key: z.string().nullable().describe('shown only in the answer that made it') })
const madeSigningKey = signingKey.extend({ secret: z.string().nullable().describe('shown only in the answer that made it') })
const madeWorkspace = workspace.omit({ updatedAt: true }).extend({ apiKey: madeApiKey, signingKey: madeSigningKey })
const items = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() })

type MadeApiKey = z.output<typeof madeApiKey>
type MadeSigningKey = z.output<typeof madeSigningKey>
type MadeWorkspace = z.output<typeof madeWorkspace>
interface Items<T> {
  items: T[]
  nextCursor: string | null
}

@Controller('v1')
export class WorkspaceRoutes {
  constructor(
    @Inject(Pool) private readonly pool: Pool,
    @Inject(OutboxRelay) private readonly relay: OutboxRelay,
    @Inject(Seal) private readonly seal: Seal,
    @Inject(Authentication) private readonly authentication: Authentication,
  ) {}

  /** Makes a workspace with its first API key (every scope) and signing key. 409 when it exists. */
  @Post('workspaces')
  @RequireScope('root')
  @Describe({
    summary: 'Make a workspace',
    description: 'Answers its first API key and signing key; both are shown only here. 409 when it exists.',
    answer: madeWorkspace,
  })
  async makeWorkspace(
    @Body({ schema: newWorkspace }) body: z.output<typeof newWorkspace>,
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
  ): Promise<MadeWorkspace> {
    let shownOnce: { key: string; secret: string } | null = null
    const { made, told } = await idempotent(this.pool, caller, 'POST /v1/workspaces', key, fingerprintOf(body), async (tx) => {
      const created = await makeWorkspace(tx, body)
      if (created === null) throw taken(`The workspace ${body.workspaceId} exists already.`)
      const { key, ...firstKey } = await makeApiKey(tx, created.workspaceId, { name: 'first key', scopes: ['admin', 'send', 'read'] })
      const { secret, ...firstSigningKey } = await makeSigningKey(tx, this.seal, created.workspaceId)
      shownOnce = { key, secret }
      const { updatedAt: _, ...rest } = created
      const made: MadeWorkspace = { ...rest, apiKey: { ...firstKey, key: null }, signingKey: { ...firstSigningKey, secret: null } }
      return { made, told: await tellWorkspace(tx, created.workspaceId) }
    })
    await this.acknowledged(told, ' Its keys were not shown: make one by POST /v1/workspaces/{workspaceId}/api-keys with the root key.')
    const shown = shownOnce as { key: string; secret: string } | null
    answerWith('location', '/v1/workspace')
    return {
      ...made,
      apiKey: { ...made.apiKey, key: shown?.key ?? null },
      signingKey: { ...made.signingKey, secret: shown?.secret ?? null },
    }
  }

  /** Makes an API key of any workspace: for one that has lost its last. `key` is shown only here, 409 when asked again with the same Idempotency-Key. */
  @Post('workspaces/:workspaceId/api-keys')
  @RequireScope('root')
  @Describe({ summary: 'Make an API key of any workspace', description: 'For a workspace that has lost its keys.', answer: madeApiKey })
  makeApiKeyOf(
    @Param('workspaceId') workspaceId: string,
    @Body({ schema: newApiKey }) body: z.output<typeof newApiKey>,
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
  ): Promise<MadeApiKey> {
    return this.makeKeyOnce({ caller, route: 'POST /v1/workspaces/{workspaceId}/api-keys', key }, workspaceId, body)
  }

  /** The caller's workspace. */
  @Get('workspace')
  @RequireScope('admin', 'send', 'read')
  @Describe({ summary: 'Read the workspace', answer: workspace })
  async readWorkspace(@Caller() { workspaceId }: Caller): Promise<Workspace> {
    return (await readWorkspace(this.pool, workspaceId)) ?? gone(workspaceId)
  }

  /**
   * Changes name, timezone (IANA), currency (ISO 4217) or whether unknown paid messages are resent; what is left out stays. Answered once
   * Kafka has it, 503 after 5 s (kept, told later).
   */
  @Put('workspace')
  @RequireScope('admin')
  @Describe({
    summary: 'Change the workspace',
    description: 'What is left out stays. 503 when Kafka did not acknowledge within 5 s: the change is kept and published later.',
    answer: workspace,
  })
  async changeWorkspace(
    @Body({ schema: workspaceChange }) body: z.output<typeof workspaceChange>,
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
  ): Promise<Workspace> {
    const { changed, told } = await idempotent(this.pool, caller, 'PUT /v1/workspace', key, fingerprintOf(body), async (tx) => {
      const changed = (await changeWorkspace(tx, caller.workspaceId, body)) ?? gone(caller.workspaceId)
      return { changed, told: await tellWorkspace(tx, changed.workspaceId) }
    })
    await this.acknowledged(told)
    return changed
  }

  /** Makes an API key; `key` is shown only here. 403 for a scope that the caller's key has not. */
  @Post('workspace/api-keys')
  @RequireScope('admin')
  @Describe({
    summary: 'Make an API key',
    description: 'The key is shown only here: 409 for a call repeated with the same Idempotency-Key. A key gives only scopes it has: 403.',
    answer: madeApiKey,
  })
  async makeApiKey(
    @Body({ schema: newApiKey }) body: z.output<typeof newApiKey>,
    @Caller() caller: Caller,
    @IdempotencyKey() idempotencyKey: string | null,
  ): Promise<MadeApiKey> {
    const more = body.scopes.filter((scope) => !caller.scopes.includes(scope))
    if (more.length > 0)
      throw forbidden(`A key may give only scopes it has, which are ${caller.scopes.join(', ')}; not ${more.join(', ')}.`)
    return this.makeKeyOnce({ caller, route: 'POST /v1/workspace/api-keys', key: idempotencyKey }, caller.workspaceId, body)
  }

  /** API keys in the order they were made, revoked ones too. */
  @Get('workspace/api-keys')
  @RequireScope('admin')
  @Describe({ summary: 'List API keys', answer: items(apiKey) })
  async listApiKeys(
    @Query({ schema: pageQuery }) query: z.output<typeof pageQuery>,
    @Caller() { workspaceId }: Caller,
  ): Promise<Items<ApiKey>> {
    const current = page(query, apiKeyOrder)
    return pageOf(await listApiKeys(this.pool, workspaceId, current), current, apiKeyOrder, ({ keyId }) => [keyId])
  }

  /** Revokes an API key: at once here, within 10 s at other gateways. */
  @Delete('workspace/api-keys/:keyId')
  @HttpCode(204)
  @RequireScope('admin')
  @Describe({ summary: 'Revoke an API key' })
  async revokeApiKey(@Param('keyId') keyId: string, @Caller() { workspaceId }: Caller): Promise<void> {
    if (!(await revokeApiKey(this.pool, workspaceId, keyId))) throw notFound(`There is no API key ${keyId} in this workspace.`)
    this.authentication.forget()
  }

  /** Makes a signing key; `secret` is shown only here. Its UTF-8 bytes are the HS256 key. */
  @Post('workspace/signing-keys')
  @RequireScope('admin')
  @Describe({
    summary: 'Make a signing key',
    description:
      'For user tokens: HS256 over the UTF-8 bytes of the secret, header kid. The secret is shown only here: 409 for a call repeated with the same Idempotency-Key.',
    answer: madeSigningKey,
  })
  async makeSigningKey(@Caller() caller: Caller, @IdempotencyKey() idempotencyKey: string | null): Promise<MadeSigningKey> {
    let shownOnce: string | null = null
    const made = await idempotent(this.pool, caller, 'POST /v1/workspace/signing-keys', idempotencyKey, fingerprintOf(null), async (tx) => {
      const { secret, ...rest } = await makeSigningKey(tx, this.seal, caller.workspaceId)
      shownOnce = secret
      return rest
    })
    if (shownOnce === null) throw madeAlready('signing key', made.kid, 'secret')
    answerWith('location', `/v1/workspace/signing-keys/${made.kid}`)
    return { ...made, secret: shownOnce }
  }

  /** Signing keys in the order they were made, revoked ones too. */
  @Get('workspace/signing-keys')
  @RequireScope('admin')
  @Describe({ summary: 'List signing keys', answer: items(signingKey) })
  async listSigningKeys(
    @Query({ schema: pageQuery }) query: z.output<typeof pageQuery>,
    @Caller() { workspaceId }: Caller,
  ): Promise<Items<SigningKey>> {
    const current = page(query, signingKeyOrder)
    return pageOf(await listSigningKeys(this.pool, workspaceId, current), current, signingKeyOrder, ({ kid }) => [
      Number(kid.slice(kid.lastIndexOf('.') + 1)),
    ])
  }

  /** Revokes a signing key and with it every token it signed: at once here, within 10 s at other gateways. */
  @Delete('workspace/signing-keys/:kid')
  @HttpCode(204)
  @RequireScope('admin')
  @Describe({ summary: 'Revoke a signing key' })
  async revokeSigningKey(@Param('kid') kid: string, @Caller() { workspaceId }: Caller): Promise<void> {
    if (!(await revokeSigningKey(this.pool, workspaceId, kid))) throw notFound(`There is no signing key ${kid} in this workspace.`)
    this.authentication.forget()
  }

  private async makeKeyOnce(
    { caller, route, key }: { caller: Caller; route: string; key: string | null },
    workspaceId: string,
    body: z.output<typeof newApiKey>,
  ): Promise<MadeApiKey> {
    let shownOnce: string | null = null
    const made = await idempotent(this.pool, caller, route, key, fingerprintOf({ workspaceId, ...body }), async (tx) => {
      const { key, ...rest } = await makeApiKey(tx, workspaceId, body)
      shownOnce = key
      return rest
    })
    if (shownOnce === null) throw madeAlready('API key', made.keyId, 'key')
    answerWith('location', `/v1/workspace/api-keys/${made.keyId}`)
    return { ...made, key: shownOnce }
  }

  private async acknowledged(outboxIds: readonly number[], also = ''): Promise<void> {
    if (await this.relay.published(outboxIds, { timeoutMs: 5_000 })) return
    throw unavailable(`Kafka has not acknowledged the change within 5 s. It is kept and will be published.${also}`)
  }
}

// A secret is in the first answer only, so there is no answer to be given again.
const madeAlready = (what: string, id: string, secret: string): Problem =>
  taken(
    `The ${what} ${id} was made by an earlier call with this Idempotency-Key, and its ${secret} shown there only: revoke it and make another with a new Idempotency-Key.`,
  )

function gone(workspaceId: string): never {
  throw notFound(`There is no workspace ${workspaceId}.`)
}
