// Turns whatever was thrown into a problem: ours as they are, Nest's and Express's by status, all else a 500 that says nothing but its id.
import { randomUUID } from 'node:crypto'
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import { isOutage } from '@stepcast/contracts'
import type { Request, Response } from 'express'
import { ClientGone, hasBody } from './incoming'
import { type Log, routeOf } from './log'
import type { KnownPath } from './methods'
import { Problem, refused, unavailable } from './problem'
import type { ScopeGuard } from './scope'

@Catch()
export class ProblemFilter implements ExceptionFilter {
  /**
   * @param known what the application's paths are known for
   * @param guard whoever may not call a path at all does not learn its methods
   */
  constructor(
    private readonly log: Log,
    private readonly known: (path: string) => KnownPath | null,
    private readonly guard: Pick<ScopeGuard, 'admit'>,
  ) {}

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp()
    const [request, response] = [http.getRequest<Request>(), http.getResponse<Response>()]
    // Nobody is left to be answered.
    if (thrown instanceof ClientGone) return void response.destroy()
    const problem =
      (await this.refusedMethod(thrown, request).catch((other: unknown) => this.problemOf(other, request))) ??
      this.problemOf(thrown, request)
    // A stream already under way cannot be answered any more; cutting it tells the reader that it is not complete.
    if (response.headersSent) response.destroy()
    else sendProblem(response, problem)
  }

  /** 405 where Nest found no route for a path that it knows; null for all else. @throws Problem 401 or 403 for who may do nothing there */
  private async refusedMethod(thrown: unknown, request: Request): Promise<Problem | null> {
    if (!(thrown instanceof HttpException) || thrown.getStatus() !== 404) return null
    const known = this.known(request.path)
    if (known === null) return null
    if (!known.scopes.includes('public')) await this.guard.admit(request, known.scopes)
    const allow = known.methods.join(', ')
    return new Problem({ status: 405, detail: `This path takes ${allow}, not ${request.method}.`, headers: { allow } })
  }

  private problemOf(thrown: unknown, request: Request): Problem {
    if (thrown instanceof Problem) return thrown
    if (thrown instanceof HttpException) return ofHttpException(thrown, request)
    if (isOutage(thrown)) {
      this.log.warn({ err: thrown, route: routeOf(request) }, 'a part is out of reach')
      return unavailable('A part of the system is out of reach for the moment; try again.')
    }
    if (isOfTheValue(thrown)) {
      // The last net: a schema should have refused it. Worth a look, and the caller's to mend.
      this.log.warn(
        { err: thrown, method: request.method, route: routeOf(request) },
        'a schema let a value through that the database refuses',
      )
      return refused([{ path: '', message: 'holds a value that cannot be stored' }])
    }
    const id = randomUUID()
    this.log.error({ err: thrown, id, method: request.method, route: routeOf(request) }, 'request failed')
    return new Problem({ status: 500, detail: `An unexpected error happened; it was logged as ${id}.`, extensions: { id } })
  }
}

/** SQLSTATE class 22, data exception: what was given is out of the range or form of its column. */
const isOfTheValue = (thrown: unknown): boolean =>
  thrown instanceof Error && /^22[0-9A-Z]{3}$/.test(String((thrown as { code?: unknown }).code))

/** Answers a request with a problem. Whoever still sends a body that nobody reads is not listened to any longer. */
export function sendProblem(response: Response, problem: Problem): void {
  if (!response.req.complete && hasBody(response.req)) response.set('connection', 'close')
  response
    .status(problem.status)
    .set(problem.headers)
    .set('content-type', 'application/problem+json; charset=utf-8')
    .end(JSON.stringify(problem))
}

function ofHttpException(exception: HttpException, request: Request): Problem {
  const status = exception.getStatus()
  if (status === 404) return new Problem({ status, detail: `There is no ${request.method} ${request.path} here.` })
  if (status === 400) return new Problem({ status, detail: `The address cannot be read: ${exception.message}.` })
  return new Problem({ status, detail: exception.message })
}
