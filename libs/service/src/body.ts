// A request's body, read once its caller is known to be allowed: whoever may not call costs us no more than the headers.
import { type CallHandler, type ExecutionContext, type NestInterceptor, SetMetadata } from '@nestjs/common'
import type { Request } from 'express'
import type { Observable } from 'rxjs'
import { hasBody, piecesOf, usualTimes } from './incoming'
import { jsonOf } from './json'
import { Problem } from './problem'

/**
 * How a call reads its body. `json`: parsed, at most so many bytes; `form`: fields of a form,
 * or of a JSON object; `raw`: a Buffer, whatever its type; `streamed`:
 * left to the handler, which bounds it itself.
 */
export type BodyReading = { readonly json: number } | { readonly form: number } | { readonly raw: number } | 'streamed'

const bodyKey = 'stepcast:body'

/** Declares how a controller's or handler's body is read, where it is not the service's usual way. */
export const ReadsBody = (reading: BodyReading): ClassDecorator & MethodDecorator => SetMetadata(bodyKey, reading)

/** Reads bodies between guards and pipes. 415 for one that is compressed, or of another type than the call takes. */
export class BodyReader implements NestInterceptor {
  /** @param usual how bodies are read unless a route declares otherwise */
  constructor(private readonly usual: BodyReading) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const reading = readingOf(context) ?? this.usual
    const request = context.switchToHttp().getRequest<Request>()
    if (reading !== 'streamed' && hasBody(request)) request.body = await read(reading, request)
    return next.handle()
  }
}

const readingOf = (context: ExecutionContext): BodyReading | undefined =>
  (Reflect.getMetadata(bodyKey, context.getHandler()) ?? Reflect.getMetadata(bodyKey, context.getClass())) as BodyReading | undefined

async function read(reading: Exclude<BodyReading, 'streamed'>, request: Request): Promise<unknown> {
  if ('raw' in reading) return bytesOf(request, reading.raw)
  if ('form' in reading) {
    if (isJson(request)) return jsonOf(await bytesOf(request, reading.form), charsetOf(request))
    expectType(request, 'application/x-www-form-urlencoded', /^application\/x-www-form-urlencoded\s*(?:;|$)/i)
    return Object.fromEntries(new URLSearchParams((await bytesOf(request, reading.form)).toString()))
  }
  expectJson(request)
  return jsonOf(await bytesOf(request, reading.json), charsetOf(request))
}

/** The whole of it: a single piece as a rule. */
async function bytesOf(request: Request, most: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of piecesOf(request, { most, ...usualTimes })) pieces.push(piece)
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}

/** The pieces of a JSON body for a handler that declares `streamed`. @throws Problem 415 for another type, else as {@link piecesOf} */
export function jsonPiecesOf(request: Request, most: number): AsyncGenerator<Buffer, void> {
  if (hasBody(request)) expectJson(request)
  const charset = charsetOf(request)
  if (charset !== 'utf-8' && charset !== 'utf8')
    throw new Problem({ status: 415, detail: 'The body of this call is read as it comes: send it in UTF-8.' })
  return piecesOf(request, { most, ...usualTimes })
}

const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i
const isJson = ({ headers }: Request): boolean => jsonType.test(headers['content-type'] ?? '')
const expectJson = (request: Request): void => expectType(request, 'application/json', jsonType)

function expectType({ headers }: Request, name: string, pattern: RegExp): void {
  if (pattern.test(headers['content-type'] ?? '')) return
  throw new Problem({
    status: 415,
    detail: `The body of this call is ${name}: send it with Content-Type: ${name}.`,
    headers: { accept: name },
  })
}

const charsetOf = ({ headers }: Request): string =>
  /;\s*charset="?([^\s;"]+)/i.exec(headers['content-type'] ?? '')?.[1]?.toLowerCase() ?? 'utf-8'
