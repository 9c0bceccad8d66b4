// The frame of every service: start, callers and scopes, problems, pages, idempotency, readiness, logs, metrics, traces.
export { Answers } from './accepts'
export { type BodyReading, jsonPiecesOf, ReadsBody } from './body'
export { contentPolicy } from './contentPolicy'
export { type CallerContext, contextHeader, contextKey, type KeyScope, keyScopes, signContext, verifyContext } from './context'
export { type CallDescription, Describe, Undescribed } from './describe'
export { digits, freeId, instant, instantMs, int4, int8, locale, namedTexts, queryInt4, templateIdField } from './fields'
export { canonicalJson, fingerprintOf, idempotencyTableSql, IdempotencyKey, idempotent, markReplayed } from './idempotency'
export { type Body, bodyOf, ClientGone, HeldBytes, type IncomingOptions, keptBytes, piecesOf, usualTimes } from './incoming'
export { jsonOf, maxJsonDepth, tooDeep } from './json'
export { type Log, LOG } from './log'
export { awayAfterMs, KafkaWatch, standsAfterMs, watchKafka, type FollowedTopic, type KafkaWatchOptions } from './kafkaWatch'
export { gaugeAtScrape, type Reading, Registry } from './metrics'
export { OpenApi } from './openapi'
export { outboxMetrics } from './outboxMetrics'
export { type After, type Keyset, keyset, type KeysetType, type Page, page, pageOf, pageQuery, writeCursor } from './page'
export { parse } from './parse'
export { pointerStep } from './storable'
export { answerReadiness, notReadyInWords, readyQuery, type ReadyQuery } from './probes'
export {
  conflict,
  type FieldError,
  forbidden,
  notFound,
  preconditionFailed,
  Problem,
  refused,
  taken,
  unauthenticated,
  unavailable,
  unreadable,
} from './problem'
export { sendProblem } from './problemFilter'
export { type NotReady, Readiness } from './readiness'
export {
  allows,
  type AuthenticatedRequest,
  type Authenticate,
  Caller,
  expectEveryRouteScoped,
  RequireScope,
  type Route,
  routesOf,
  type Scope,
} from './scope'
export { ENV, type Env, type RunningService, type ServiceOptions, startService } from './start'
export { answerWith, currentTraceparent, keepTrace, withTraceparent } from './trace'
