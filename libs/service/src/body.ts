// A request's body, read once its caller is known to be allowed: whoever may not call costs us no more than the headers.
import { type CallHandler, type ExecutionContext, HttpException, type NestInterceptor, SetMetadata } from '@nestjs/common'
import { json, raw, type Request, type RequestHandler, type Response } from 'express'
import type { Observable } from 'rxjs'
import { Problem } from './problem'
import { expectUtf8 } from './utf8'

/**
 * How a call reads its body. `json`: parsed, at most so many bytes; `raw`: a Buffer, whatever its type; `streamed`: left to the handler, which
 * bounds it itself.
 */
export type BodyReading = { readonly json: number } | { readonly raw: number } | 'streamed'

const bodyKey = 'stepcast:body'

/** Declares how a controller's or handler's body is read, where it is not the service's usual way. */
export const ReadsBody = (reading: BodyReading): ClassDecorator & MethodDecorator => SetMetadata(bodyKey, reading)

/**
 * Reads bodies between guards and pipes. A body that was compressed is refused (415): a few bytes could become any number. So is one of
 * another type where JSON is expected.
 */
export class BodyReader implements NestInterceptor {
  private readonly parsers = new Map<string, RequestHandler>()

  /** @param usual how bodies are read unless a route declares otherwise */
  constructor(private readonly usual: BodyReading) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const reading = readingOf(context) ?? this.usual
    const http = context.switchToHttp()
    if (reading !== 'streamed') await this.read(reading, http.getRequest<Request>(), http.getResponse<Response>())
    return next.handle()
  }

  private async read(reading: Exclude<BodyReading, 'streamed'>, request: Request, response: Response): Promise<void> {
    if (!hasBody(request)) return
    if ('json' in reading && !isJson(request)) throw notJsonType()
    await new Promise<void>((resolve, reject) => {
      void this.parserOf(reading)(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(asHttp(error))))
    })
  }

  private parserOf(reading: Exclude<BodyReading, 'streamed'>): RequestHandler {
    const name = JSON.stringify(reading)
    let parser = this.parsers.get(name)
    if (parser === undefined) {
      parser = 'json' in reading ? json({ type: () => true, limit: reading.json, inflate: false, verify: expectUtf8 }) : raw({ type: () => true, limit: reading.raw, inflate: false })
      this.parsers.set(name, parser)
    }
    return parser
  }
}

const readingOf = (context: ExecutionContext): BodyReading | undefined =>
  (Reflect.getMetadata(bodyKey, context.getHandler()) ?? Reflect.getMetadata(bodyKey, context.getClass())) as BodyReading | undefined

/** Whether a request announces a body; an empty one is none. */
const hasBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')

const isJson = ({ headers }: Request): boolean => /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(headers['content-type'] ?? '')

const notJsonType = (): Problem => new Problem({ status: 415, detail: 'Bodies of this call are JSON: send Content-Type: application/json.' })

/** The parser's error as Nest's own kind of errors, which the problem filter reads. */
function asHttp(error: unknown): unknown {
  const { status, message } = error as { status?: number; message: string }
  return typeof status === 'number' ? new HttpException(message, status, { cause: error as Error }) : error
}
