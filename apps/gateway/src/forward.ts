// Which requests go on to which service: calls with credentials by their path, links and callbacks without any.
import type { KeyObject } from 'node:crypto'
import { All, Controller, Get, Inject, Param, Post, Req, Res } from '@nestjs/common'
import {
  Answers,
  Caller,
  contextHeader,
  forbidden,
  LOG,
  type Log,
  notFound,
  ReadsBody,
  RequireScope,
  signContext,
  Undescribed,
} from '@stepcast/service'
import type { Request, Response } from 'express'
import { Authentication } from './authentication'
import { ContextKey } from './contextKey'
import { endWith } from './openStreams'
import { Passage } from './passage'
import { forwardedPaths, isStream, pathsForPeople, serviceOf, serviceOfCallbacks, serviceOfLink } from './services'

@Controller()
@Undescribed()
@ReadsBody('streamed')
@Answers('any')
export class Forward {
  constructor(
    @Inject(Passage) private readonly passage: Passage,
    @Inject(ContextKey) private readonly key: KeyObject,
    @Inject(Authentication) private readonly authentication: Authentication,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /**
   * Any call with any valid credentials: the service knows which scope it needs. 403 for a user token where nothing is a person's own. 503
   * while the service is away.
   */
  @All(forwardedPaths)
  @RequireScope('admin', 'send', 'read', 'user')
  async forward(@Req() request: Request, @Res() response: Response, @Caller() caller: Caller): Promise<void> {
    const service = serviceOf(request.path)
    if (service === undefined) throw notFound(`There is no ${request.method} ${request.path} here: paths are written in small letters.`)
    if (caller.via === 'user_token' && !service.forPeople)
      throw forbidden(`A user token reaches ${pathsForPeople} only; this needs an API key.`)
    if (isStream(request.path)) {
      const holds = await this.authentication.holdsOf(caller, request)
      endWith(holds, response, (error) => this.log.warn({ err: error }, 'whether the key of an open stream stands cannot be told'))
    }
    const context = { [contextHeader]: await signContext(this.key, caller) }
    await this.passage.through(service, request, response, caller.workspaceId, context)
  }
}

/** What people and providers call without credentials of ours: the service judges the token or the signature. */
@Controller()
@Undescribed()
@RequireScope('public')
@ReadsBody('streamed')
export class ForwardPublic {
  constructor(@Inject(Passage) private readonly passage: Passage) {}

  /** A provider tells what became of a message. Body, query and credentials go on as they came, since its signature covers them. */
  @Post('v1/callbacks/:provider/:workspaceId')
  async callback(@Param('provider') provider: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    const service = serviceOfCallbacks(provider)
    if (service === undefined) throw notFound(`No provider called ${JSON.stringify(provider.slice(0, 40))} calls back here.`)
    const { authorization } = request.headers
    await this.passage.through(service, request, response, null, authorization === undefined ? {} : { authorization })
  }

  /** Somebody follows a tracked link (HEAD too). */
  @Get('l/:token')
  async link(@Param('token') token: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    const service = serviceOfLink(token)
    if (service === undefined) throw notFound('There is no such link.')
    await this.passage.through(service, request, response, null)
  }
}
