// Turns whatever was thrown into a problem: ours as they are, Nest's and Express's by status, all else a 500 that says nothing but its id.
import { randomUUID } from 'node:crypto'
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import type { Request, Response } from 'express'
import { type Log, routeOf } from './log'
import { Problem, unavailable, unreadable } from './problem'

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
    const id = randomUUID()
    this.log.error({ err: thrown, id, method: request.method, route: routeOf(request) }, 'request failed')
    return new Problem({ status: 500, detail: `An unexpected error happened; it was logged as ${id}.`, extensions: { id } })
  }
}

// Connections of node and PostgreSQL (SQLSTATE class 08, 53300 too many, 57P01..3 shutting down or starting).
const outageCode = /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|08\w{3}|53300|57P0[123])$/
// What pg and its pool say without a code.
const outageMessage = /^(Connection terminated|timeout exceeded when trying to connect)/

/** Whether an error means that a part is out of reach for now: it says so itself, or a connection failed. */
function isOutage(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  const { retriable, code } = thrown as { retriable?: boolean; code?: string }
  return retriable === true || (typeof code === 'string' && outageCode.test(code)) || outageMessage.test(thrown.message)
}

/** Answers a request with a problem. */
export function sendProblem(response: Response, problem: Problem): void {
  response.status(problem.status).set(problem.headers).type('application/problem+json').send(JSON.stringify(problem))
}

function ofHttpException(exception: HttpException, request: Request): Problem {
  const status = exception.getStatus()
  const cause = exception.cause as { type?: string; limit?: number } | undefined
  if (status === 404) return new Problem({ status, detail: `There is no ${request.method} ${request.path} here.` })
  if (cause?.type === 'entity.parse.failed') return unreadable([{ path: '', message: notJson(exception.message) }])
  if (cause?.type === 'entity.too.large')
    return new Problem({ status, detail: `The body is larger than ${cause.limit} bytes, the most this call takes.` })
  return status === 400 ? unreadable([{ path: '', message: exception.message }]) : new Problem({ status, detail: exception.message })
}

/** Node's words on where it stopped, without the piece of the body that they quote: it may be a piece of a secret or of a person. */
const notJson = (words: string): string => {
  const position = /at position \d+/.exec(words)?.[0]
  return position === undefined ? 'is not JSON' : `is not JSON: unreadable ${position}`
}
