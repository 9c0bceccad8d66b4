// FCM HTTP v1 and its token endpoint, answered as Google answers them.
import { randomBytes, randomUUID } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import type { Fault } from './faults'

/** Keys of `message.data` by which the sandbox (and an app) knows a message. */
export const dataKeys = { messageId: 'stepcast_message_id', workspaceId: 'stepcast_workspace_id', userId: 'stepcast_user_id' } as const

/** An HTTP answer. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: object
  /** How the log of arrivals names it, e.g. `404 UNREGISTERED`. */
  readonly logged: string
}

const tokenLifetimeS = 3_600
// One per service account and hour is usual; 10,000 tell of a client that never reuses its token.
const maxTokens = 10_000
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const messagingScopes = ['https://www.googleapis.com/auth/firebase.messaging', 'https://www.googleapis.com/auth/cloud-platform']

/** Access tokens handed out by this process. */
export class AccessTokens {
  private readonly expiry = new Map<string, number>()

  /**
   * The JWT-bearer grant of a service account (RFC 7523): the assertion's shape, algorithm, scope and times are checked; its
   * signature is not, since the sandbox knows no public keys.
   */
  grant(form: Readonly<Record<string, unknown>>, nowMs: number): Answer {
    if (form.grant_type !== jwtBearer) return oauthError('unsupported_grant_type', `grant_type must be ${jwtBearer}`)
    const problem = assertionProblem(form.assertion, nowMs)
    if (problem !== null) return oauthError('invalid_grant', problem)
    if (this.expiry.size >= maxTokens) this.expiry.delete(this.expiry.keys().next().value!)
    const token = `ya29.${randomBytes(24).toString('base64url')}`
    this.expiry.set(token, nowMs + tokenLifetimeS * 1_000)
    return { status: 200, body: { access_token: token, expires_in: tokenLifetimeS, token_type: 'Bearer' }, logged: '200' }
  }

  /** Whether an Authorization header carries a token of ours that is still good. */
  accepts(authorization: string | undefined, nowMs: number): boolean {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
    return token !== undefined && (this.expiry.get(token) ?? 0) > nowMs
  }
}

function assertionProblem(assertion: unknown, nowMs: number): string | null {
  if (typeof assertion !== 'string') return 'assertion is missing'
  try {
    const { alg } = decodeProtectedHeader(assertion)
    const { iss, aud, iat, exp, scope } = decodeJwt(assertion)
    const nowS = nowMs / 1_000
    if (alg !== 'RS256') return `assertion must be signed with RS256, not ${alg}`
    if (typeof iss !== 'string' || !iss.includes('@')) return 'iss must be the client_email of a service account'
    if (typeof aud !== 'string' || !aud.endsWith('/token')) return 'aud must be the token endpoint'
    if (
      !String(scope)
        .split(' ')
        .some((one) => messagingScopes.includes(one))
    )
      return 'scope must hold firebase.messaging'
    // Google allows an hour, and some seconds for clocks that differ.
    if (typeof iat !== 'number' || typeof exp !== 'number' || exp - iat > 3_600 || exp < nowS || iat > nowS + 60)
      return 'iat and exp must span now, an hour at most'
    return null
  } catch {
    return 'assertion is not a JWT'
  }
}

const oauthError = (error: string, description: string): Answer => ({
  status: 400,
  body: { error, error_description: description },
  logged: `400 ${error}`,
})

const text = z.string()
const sendSchema = z.strictObject({
  validate_only: z.boolean().optional(),
  message: z.strictObject({
    token: text.min(1),
    notification: z.strictObject({ title: text.optional(), body: text.optional(), image: text.optional() }).optional(),
    data: z.record(text, text).optional(),
    android: z.looseObject({ collapse_key: text.optional(), ttl: text.regex(/^\d+(\.\d{1,9})?s$/).optional() }).optional(),
    apns: z.looseObject({ headers: z.record(text, text).optional() }).optional(),
    webpush: z.looseObject({ headers: z.record(text, text).optional() }).optional(),
    fcm_options: z.looseObject({}).optional(),
  }),
})

/** A message FCM can read. */
export type FcmMessage = z.output<typeof sendSchema>['message']

/** Reads the body of a send; a string says what is wrong, and where. */
export function readMessage(body: unknown): FcmMessage | { readonly field: string; readonly description: string } {
  const parsed = sendSchema.safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    return { field: issue.path.join('.') || 'message', description: issue.message }
  }
  const { message } = parsed.data
  const reserved = Object.keys(message.data ?? {}).find((key) => key === 'from' || key === 'message_type' || /^(google|gcm)/.test(key))
  if (reserved !== undefined) return { field: `message.data[${reserved}]`, description: `Invalid data payload key: ${reserved}` }
  if (Buffer.byteLength(JSON.stringify({ data: message.data, notification: message.notification })) > 4_096) {
    return { field: 'message', description: 'Message too big' }
  }
  if (Buffer.byteLength(message.apns?.headers?.['apns-collapse-id'] ?? '') > 64) {
    return { field: 'message.apns.headers', description: 'apns-collapse-id is longer than 64 bytes' }
  }
  return message
}

/** 200: taken. */
export const accepted = (project: string): Answer => ({
  status: 200,
  body: { name: `projects/${project}/messages/${randomUUID()}` },
  logged: '200',
})

const fcmErrorType = 'type.googleapis.com/google.firebase.fcm.v1.FcmError'

function refusal(code: number, status: string, message: string, details: readonly object[], headers: Record<string, string> = {}): Answer {
  const errorCode = (details[0] as { errorCode?: string } | undefined)?.errorCode ?? status
  return {
    status: code,
    headers,
    body: { error: { code, message, status, ...(details.length > 0 ? { details } : {}) } },
    logged: `${code} ${errorCode}`,
  }
}

/** 401: no access token, or one that has expired. */
export const unauthenticated = (): Answer => refusal(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.', [])

/** 400 for what the request says; the token is not to blame, so there is no FcmError. */
export const invalidArgument = (field: string, description: string): Answer =>
  refusal(400, 'INVALID_ARGUMENT', description, [
    { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field, description }] },
  ])

/** 404: the app is gone from the device. */
export const unregistered = (): Answer =>
  refusal(404, 'NOT_FOUND', 'Requested entity was not found.', [{ '@type': fcmErrorType, errorCode: 'UNREGISTERED' }])

/** What a fault answers; null where it does not answer by itself. */
export function faultAnswer(fault: Fault): Answer | null {
  switch (fault.mode) {
    case '429': {
      const headers: Record<string, string> = fault.retryAfterS === undefined ? {} : { 'retry-after': String(fault.retryAfterS) }
      return refusal(
        429,
        'RESOURCE_EXHAUSTED',
        'Quota exceeded for sending messages.',
        [{ '@type': fcmErrorType, errorCode: 'QUOTA_EXCEEDED' }],
        headers,
      )
    }
    case '500':
      return refusal(500, 'INTERNAL', 'Internal error encountered.', [{ '@type': fcmErrorType, errorCode: 'INTERNAL' }])
    case 'reject':
      return refusal(403, 'PERMISSION_DENIED', 'SenderId mismatch', [{ '@type': fcmErrorType, errorCode: 'SENDER_ID_MISMATCH' }])
    case 'hang':
    case 'slow':
    case 'accept-then-reset':
      return null
  }
}
