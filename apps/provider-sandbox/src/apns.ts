// APNs' provider API, answered as Apple documents it:
// developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns.
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http2'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { retryAfter, type Answer } from './answer'
import type { Desk, Judged, Reply } from './desk'
import type { RequestFault } from './faults'
import { dataKeys } from './fcm'
import type { Phones } from './phones'
import { codeOf } from './specialAddresses'

/** Apple's error codes with their status. */
const statusOf = {
  BadCollapseId: 400,
  BadDeviceToken: 400,
  BadExpirationDate: 400,
  BadMessageId: 400,
  BadPriority: 400,
  BadTopic: 400,
  DeviceTokenNotForTopic: 400,
  DuplicateHeaders: 400,
  IdleTimeout: 400,
  InvalidPushType: 400,
  MissingDeviceToken: 400,
  MissingTopic: 400,
  PayloadEmpty: 400,
  TopicDisallowed: 400,
  BadCertificate: 403,
  BadCertificateEnvironment: 403,
  BadEnvironmentKeyIdInToken: 403,
  ExpiredProviderToken: 403,
  Forbidden: 403,
  InvalidProviderToken: 403,
  MissingProviderToken: 403,
  UnrelatedKeyIdInToken: 403,
  BadPath: 404,
  MethodNotAllowed: 405,
  ExpiredToken: 410,
  Unregistered: 410,
  PayloadTooLarge: 413,
  TooManyProviderTokenUpdates: 429,
  TooManyRequests: 429,
  InternalServerError: 500,
  ServiceUnavailable: 503,
  Shutdown: 503,
} as const
/** One of Apple's error codes. */
export type ApnsReason = keyof typeof statusOf
const reasons = Object.keys(statusOf) as ApnsReason[]

/** The largest payload, bytes (VoIP: 5,120). */
const maxPayloadBytes = 4_096
const tokenLifetimeS = 3_600
const tokenUpdateS = 1_200
// Clocks differ; Apple names no number.
const clockToleranceS = 300

const pushTypes = new Set([
  'alert',
  'background',
  'location',
  'voip',
  'complication',
  'fileprovider',
  'mdm',
  'liveactivity',
  'pushtotalk',
  'widgets',
  'controls',
])
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * The provider tokens (JWT, ES256) one connection brings. A connection belongs to the team of its first token; a token is good for an
 * hour and may be changed every 20 minutes, counted by its `iat`. Apple keeps that count for longer than a connection, but not in a
 * documented way; per connection it catches who makes a token per request and leaves restarted processes alone.
 */
export class ProviderTokens {
  private last: { readonly authorization: string; readonly issuedAtS: number; readonly team: string } | null = null
  private team: string | null = null

  /** Whether a good token was seen: until then Apple allows one stream. */
  get isTrusted(): boolean {
    return this.team !== null
  }

  /** What is wrong with an Authorization header; null: nothing. */
  problem(authorization: string | undefined, nowMs: number): ApnsReason | null {
    const nowS = nowMs / 1_000
    if (this.last !== null && authorization === this.last.authorization) return this.expired(this.last.issuedAtS, nowS)
    const token = /^bearer (.+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) return 'MissingProviderToken'
    const claims = claimsOf(token)
    if (claims === null || claims.issuedAtS > nowS + clockToleranceS) return 'InvalidProviderToken'
    if (this.team !== null && claims.team !== this.team) return 'InvalidProviderToken'
    const expired = this.expired(claims.issuedAtS, nowS)
    if (expired !== null) return expired
    if (this.last !== null && Math.abs(claims.issuedAtS - this.last.issuedAtS) < tokenUpdateS) return 'TooManyProviderTokenUpdates'
    this.team = claims.team
    this.last = { authorization: authorization!, ...claims }
    return null
  }

  /** The token was called expired on request: the next one may come at once. */
  forget(): void {
    this.last = null
  }

  private expired(issuedAtS: number, nowS: number): ApnsReason | null {
    return nowS - issuedAtS > tokenLifetimeS ? 'ExpiredProviderToken' : null
  }
}

/** The claims of a token that has the shape of one. Its signature is not checked, since the sandbox knows no public keys. */
function claimsOf(token: string): { readonly issuedAtS: number; readonly team: string } | null {
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    const { iss, iat } = decodeJwt(token)
    const isSigned = Buffer.from(token.split('.')[2] ?? '', 'base64url').length === 64
    if (alg !== 'ES256' || !isTenCharacters(kid) || !isTenCharacters(iss) || typeof iat !== 'number' || !isSigned) return null
    return { issuedAtS: iat, team: iss }
  } catch {
    return null
  }
}

const isTenCharacters = (value: unknown): value is string => typeof value === 'string' && /^[A-Z0-9]{10}$/.test(value)

interface Payload {
  readonly aps: { readonly alert?: string | { readonly title?: string; readonly body?: string } }
  readonly [key: string]: unknown
}

function payloadOf(body: Buffer): Payload | ApnsReason {
  if (body.length > maxPayloadBytes) return 'PayloadTooLarge'
  try {
    const payload = JSON.parse(body.toString('utf8')) as Payload
    return typeof payload.aps === 'object' && payload.aps !== null ? payload : 'PayloadEmpty'
  } catch {
    return 'PayloadEmpty'
  }
}

function headerProblem(headers: IncomingHttpHeaders): ApnsReason | null {
  const { 'apns-topic': topic, 'apns-id': id, 'apns-collapse-id': collapseId, 'apns-expiration': expiration } = headers
  const { 'apns-priority': priority, 'apns-push-type': pushType } = headers
  if (topic === undefined) return 'MissingTopic'
  if (!/^[A-Za-z0-9.-]{1,255}$/.test(String(topic))) return 'BadTopic'
  if (id !== undefined && !uuid.test(String(id))) return 'BadMessageId'
  if (collapseId !== undefined && Buffer.byteLength(String(collapseId)) > 64) return 'BadCollapseId'
  if (expiration !== undefined && !/^\d{1,10}$/.test(String(expiration))) return 'BadExpirationDate'
  if (priority !== undefined && !['1', '5', '10'].includes(String(priority))) return 'BadPriority'
  if (pushType !== undefined && !pushTypes.has(String(pushType))) return 'InvalidPushType'
  return null
}

/** The special answers of device tokens: `bad_…`, `code_<reason>_…`, `code_Unregistered_<milliseconds since the epoch>_…`. */
function tokenAnswer(token: string): Answer | null {
  if (token === '') return refusal('MissingDeviceToken')
  // Apple's are hexadecimal; these say what they are for.
  if (!/^[A-Za-z0-9_-]{1,200}$/.test(token)) return refusal('BadDeviceToken')
  if (token.startsWith('bad_')) return refusal('Unregistered')
  const reason = codeOf(token, reasons)
  const since = /^code_(?:Unregistered|ExpiredToken)_(\d{12,14})(_|$)/.exec(token)?.[1]
  return reason === null ? null : refusal(reason, since === undefined ? undefined : Number(since))
}

function refusal(reason: ApnsReason, sinceMs = Date.now(), headers: Record<string, string> = {}): Answer {
  const status = statusOf[reason]
  // Apple tells since when a token is dead, in milliseconds.
  const body = status === 410 ? { reason, timestamp: sinceMs } : { reason }
  return { status, headers, body, logged: `${status} ${reason}` }
}

function faultAnswer(fault: RequestFault): Answer | null {
  switch (fault.mode) {
    case '429':
      return refusal('TooManyRequests', undefined, retryAfter(fault.retryAfterS))
    case '500':
      return refusal('InternalServerError')
    case 'reject':
      return refusal('PayloadTooLarge')
    case 'hang':
    case 'slow':
    case 'accept-then-reset':
    case 'goaway':
      return null
  }
}

const ok: Answer = { status: 200, body: null, logged: '200' }
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** APNs: `POST /3/device/{token}`. */
export class Apns {
  constructor(
    private readonly desk: Desk,
    private readonly phones: Phones,
  ) {}

  /** Sends one notification → 200 with an empty body, or `{ reason }`. */
  send(tokens: ProviderTokens, path: string, headers: IncomingHttpHeaders, body: Buffer): Reply {
    const token = path.slice('/3/device/'.length)
    const payload = payloadOf(body)
    const credentials = tokens.problem(headers.authorization, Date.now())
    const wrong = headerProblem(headers) ?? (typeof payload === 'string' ? payload : null)
    const answer = wrong === null ? (tokenAnswer(token) ?? ok) : refusal(wrong)
    if (credentials === null && answer.logged.endsWith(' ExpiredProviderToken')) tokens.forget()
    const submission = {
      provider: 'apns',
      refusal: credentials === null ? null : refusal(credentials),
      answer,
      // A payload that cannot be read says nothing of its message; its collapse id does.
      messages: [this.judged(token, typeof payload === 'string' ? null : payload, answer, text(headers['apns-collapse-id']) || null)],
      faultAnswer,
    } as const
    return withId(this.desk.take(submission, true), headers['apns-id'])
  }

  private judged(to: string, payload: Payload | null, { status, logged }: Answer, collapseId: string | null): Judged {
    const messageId = text(payload?.[dataKeys.messageId]) || (payload === null ? collapseId : null)
    const accept = (): void => {
      const workspaceId = text(payload?.[dataKeys.workspaceId])
      const userId = text(payload?.[dataKeys.userId])
      if (payload === null || messageId === null || workspaceId === '' || userId === '') return
      const { alert = '' } = payload.aps
      const { title = '', body = '' } = typeof alert === 'string' ? { body: alert } : alert
      const url = text(payload[dataKeys.url])
      const links = url === '' ? [] : [{ label: '', url }]
      this.phones.receive({ channel: 'push', provider: 'apns', messageId, workspaceId, userId, to, title, body, imageUrl: null, links })
    }
    return { messageId, to, isAccepted: status === 200, logged, accept }
  }
}

/** Every answer carries the notification's id: the one given, or a new one. */
function withId(reply: Reply, given: string | string[] | undefined): Reply {
  if (reply.kind !== 'answer') return reply
  const id = given === undefined ? randomUUID().toUpperCase() : String(given)
  return { ...reply, answer: { ...reply.answer, headers: { ...reply.answer.headers, 'apns-id': id } } }
}

/** The answer to a request that is no `POST /3/device/…`. */
export const wrongPath = (method: string | undefined, path: string): Answer =>
  refusal(path.startsWith('/3/device/') && method !== 'POST' ? 'MethodNotAllowed' : 'BadPath')
