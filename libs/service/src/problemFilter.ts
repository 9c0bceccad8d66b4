// Turns whatever was thrown into a problem: ours as they are, Nest's and Express's by status, all else a 500 that says nothing but its id.
import { randomUUID } from 'node:crypto'
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import { isOutage } from '@stepcast/contracts'
import type { Request, Response } from 'express'
import { type Log, routeOf } from './log'
import { Problem, refused, unavailable, unreadable } from './problem'
import { notUtf8 } from './utf8'

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Log) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const response = http.getResponse<Response>()
    const problem = this.problemOf(thrown, http.getRequest<Request>())
    // A stream already under way cannot be answered any more; cutting it tells the reader that it is not complete.
    if (response.headersSent) response.destroy()
    else sendProblem(response, problem)
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
      this.log.warn({ err: thrown, method: request.method, route: routeOf(request) }, 'a schema let a value through that the database refuses')
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

/** Answers a request with a problem. */
export function sendProblem(response: Response, problem: Problem): void {
  response.status(problem.status).set(problem.headers).type('application/problem+json').send(JSON.stringify(problem))
}

function ofHttpException(exception: HttpException, request: Request): Problem {
  const status = exception.getStatus()
  const cause = exception.cause as { type?: string; limit?: number } | undefined
  if (status === 404) return new Problem({ status, detail: `There is no ${request.method} ${request.path} here.` })
  if (cause?.type === 'entity.parse.failed') return unreadable([{ path: '', message: notJson(exception.message) }])
  if (cause?.type === notUtf8) return unreadable([{ path: '', message: exception.message }])
  if (cause?.type === 'entity.too.large')
    return new Problem({ status, detail: `The body is larger than ${cause.limit} bytes, the most this call takes.` })
  if (cause?.type === 'encoding.unsupported') return new Problem({ status, detail: 'The body is compressed: send it without Content-Encoding.' })
  return status === 400 ? unreadable([{ path: '', message: exception.message }]) : new Problem({ status, detail: exception.message })
}

/** Node's words on where it stopped, without the piece of the body that they quote: it may be a piece of a secret or of a person. */
const notJson = (words: string): string => {
  const position = /at position \d+/.exec(words)?.[0]
  return position === undefined ? 'is not JSON' : `is not JSON: unreadable ${position}`
}
