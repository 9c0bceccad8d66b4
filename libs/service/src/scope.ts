// Every route says who may call it; one that does not is denied, and fails its service's spec.
import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  type INestApplicationContext,
  RequestMethod,
  SetMetadata,
} from '@nestjs/common'
import { MetadataScanner, ModulesContainer } from '@nestjs/core'
import type { Request } from 'express'
import type { CallerContext } from './context'
import { type CallDescription, descriptionOf } from './describe'
import { forbidden, unauthenticated } from './problem'

/**
 * Who may call a route: a key scope (`admin`, `send`, `read`; none implies another), `user` (a user token, or a server key with
 * scope `send` and `On-Behalf-Of`), `root` (the installation's own key), `internal` (only services of ours), `public` (everyone).
 */
export type Scope = 'admin' | 'send' | 'read' | 'user' | 'root' | 'internal' | 'public'

const scopeKey = 'stepcast:scope'

/** Declares who may call a route, or every route of a controller: any one of the scopes given suffices. */
export const RequireScope = (...scopes: [Scope, ...Scope[]]): MethodDecorator & ClassDecorator => SetMetadata(scopeKey, scopes)

/** Who is calling; see {@link CallerContext}. */
export type Caller = CallerContext

/** A request whose caller is known. */
export interface AuthenticatedRequest extends Request {
  caller?: CallerContext
}

/** The caller of a route that is not public. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): CallerContext => {
  const { caller } = context.switchToHttp().getRequest<AuthenticatedRequest>()
  if (caller === undefined) throw new Error('@Caller() on a public route: nobody is known there')
  return caller
})

/** Finds out who is calling; null when the request carries no credentials. Throws a 401 problem for invalid ones. */
export type Authenticate = (request: Request) => Promise<CallerContext | null>

/** Whether a caller may use a route of that scope. */
export function allows(scope: Scope, caller: CallerContext): boolean {
  switch (scope) {
    case 'public':
      return true
    case 'root':
      return caller.via === 'root'
    case 'user':
      return caller.userId !== null && (caller.via === 'user_token' || caller.scopes.includes('send'))
    case 'admin':
    case 'send':
    case 'read':
    case 'internal':
      return caller.scopes.includes(scope)
  }
}

/** Lets a request through when its caller has one of the route's scopes. */
export class ScopeGuard implements CanActivate {
  constructor(private readonly authenticate: Authenticate) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const scopes = scopesOf(context.getClass(), context.getHandler())
    if (scopes === undefined) throw forbidden('This route declares no scope, so nobody may call it.')
    if (scopes.includes('public')) return true
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>()
    request.caller = await this.admit(request, scopes)
    return true
  }

  /** The caller of a request. @throws Problem 401 without credentials or with wrong ones, 403 for one who has none of the scopes */
  async admit(request: Request, scopes: readonly Scope[]): Promise<CallerContext> {
    const caller = await this.authenticate(request)
    if (caller === null) throw unauthenticated('Credentials are missing: send Authorization: Bearer with an API key or a user token.')
    if (!scopes.some((scope) => allows(scope, caller))) throw forbidden(`This call needs ${inWords(scopes)}; ${held(caller)}.`)
    return caller
  }
}

const inWords = (scopes: readonly Scope[]): string =>
  scopes
    .map((scope) => {
      switch (scope) {
        case 'user':
          return 'a user (a user token, or a key with scope send and On-Behalf-Of)'
        case 'root':
          return 'the root key'
        case 'admin':
        case 'send':
        case 'read':
        case 'internal':
        case 'public':
          return `scope ${scope}`
      }
    })
    .join(' or ')

function held({ via, scopes }: CallerContext): string {
  switch (via) {
    case 'root':
      return 'this is the root key'
    case 'user_token':
      return 'this is a user token'
    case 'api_key':
      return `this key has ${scopes.length === 0 ? 'no scope' : scopes.join(', ')}`
  }
}

/** Whether everyone may call a route. */
export const isPublic = (controller: object, handler: object): boolean => scopesOf(controller, handler)?.includes('public') ?? false

const scopesOf = (controller: object, handler: object): readonly Scope[] | undefined =>
  (Reflect.getMetadata(scopeKey, handler) ?? Reflect.getMetadata(scopeKey, controller)) as readonly Scope[] | undefined

/** A route of a service with what it declares. */
export interface Route {
  readonly method: string
  readonly path: string
  readonly scopes: readonly Scope[] | null
  /** What it says of itself; null where it is left out of the documents. */
  readonly description: CallDescription | null | undefined
}

/** Every route of an application with its declared scopes (null: none declared), in order of path and method. */
export function routesOf(app: INestApplicationContext): Route[] {
  const controllers = [...app.get(ModulesContainer, { strict: false }).values()].flatMap((module) => [...module.controllers.values()])
  const routes = controllers.flatMap(({ metatype }) => {
    const controller = metatype as { prototype: Record<string, object> } & object
    const roots = [(Reflect.getMetadata('path', controller) ?? '/') as string | string[]].flat()
    return new MetadataScanner().getAllMethodNames(controller.prototype).flatMap((name) => {
      const handler = controller.prototype[name]!
      const paths = Reflect.getMetadata('path', handler) as string | string[] | undefined
      if (paths === undefined) return []
      const method = RequestMethod[Reflect.getMetadata('method', handler) as number] ?? 'ALL'
      const declared = { scopes: scopesOf(controller, handler) ?? null, description: descriptionOf(controller, handler) }
      return roots.flatMap((root) => [paths].flat().map((path) => ({ method, path: joined(root, path), ...declared })))
    })
  })
  return routes.sort((a, b) => a.path.localeCompare(b.path) || a.method.localeCompare(b.method))
}

const joined = (root: string, path: string): string => `/${root}/${path}`.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '')

/** For each service's spec: throws, naming them, when routes declare no scope. */
export function expectEveryRouteScoped(app: INestApplicationContext): void {
  const undeclared = routesOf(app).filter((route) => route.scopes === null)
  if (undeclared.length === 0) return
  throw new Error(`routes without @RequireScope: ${undeclared.map(({ method, path }) => `${method} ${path}`).join(', ')}`)
}
