// The frame of every service: start, callers and scopes, problems, pages, idempotency, readiness, logs, metrics, traces.
export { type CallerContext, contextHeader, contextKey, type KeyScope, keyScopes, signContext, verifyContext } from './context'
export { type CallDescription, Describe, Undescribed } from './describe'
export { fingerprintOf, idempotencyTableSql, IdempotencyKey, idempotent } from './idempotency'
export { type Log, LOG } from './log'
export { Registry } from './metrics'
export { OpenApi } from './openapi'
export { type KeysetValue, type Page, page, pageOf, pageQuery, writeCursor } from './page'
export { parse, pointerStep } from './parse'
export { notReadyProblem } from './probes'
export { conflict, type FieldError, forbidden, notFound, Problem, refused, unauthenticated, unavailable, unreadable } from './problem'
export { sendProblem } from './problemFilter'
export { Readiness } from './readiness'
export {
  allows, type AuthenticatedRequest, type Authenticate, Caller, expectEveryRouteScoped, RequireScope, type Route, routesOf, type Scope,
} from './scope'
export { ENV, type Env, type RunningService, type ServiceOptions, startService } from './start'
export { currentTraceparent, isTraceparent, keepTrace, withTraceparent } from './trace'
