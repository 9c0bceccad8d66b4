// What a call answers with, held against what its caller accepts.
import { type CallHandler, type ExecutionContext, type NestInterceptor, SetMetadata } from '@nestjs/common'
import { HTTP_CODE_METADATA } from '@nestjs/common/constants'
import type { Request } from 'express'
import type { Observable } from 'rxjs'
import { Problem } from './problem'
import { isPublic } from './scope'

const answersKey = 'stepcast:answers'

/** Declares the media types of a call's answer where it is not JSON; `any` where another service answers. */
export const Answers = (...types: [string, ...string[]]): ClassDecorator & MethodDecorator => SetMetadata(answersKey, types)

const json = ['application/json', 'application/problem+json'] as const

/** Refuses (406) whoever accepts nothing that the call has. Not asked: calls without content, and public ones, which strangers make. */
export class AcceptCheck implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const types = this.typesOf(context)
    if (
      types !== null &&
      context
        .switchToHttp()
        .getRequest<Request>()
        .accepts([...types]) === false
    ) {
      throw new Problem({ status: 406, detail: `This call answers with ${types[0]}, which the header Accept leaves out.` })
    }
    return next.handle()
  }

  private typesOf(context: ExecutionContext): readonly string[] | null {
    const [handler, controller] = [context.getHandler(), context.getClass()]
    if (isPublic(controller, handler) || Reflect.getMetadata(HTTP_CODE_METADATA, handler) === 204) return null
    const types = (Reflect.getMetadata(answersKey, handler) ?? Reflect.getMetadata(answersKey, controller) ?? json) as readonly string[]
    return types[0] === 'any' ? null : types
  }
}
