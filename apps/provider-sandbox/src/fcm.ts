// FCM HTTP v1 and its token endpoint, answered as Google answers them.
import { randomBytes, randomUUID } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import { retryAfter, type Answer } from './answer'
import type { Desk, Judged, Reply } from './desk'
import type { RequestFault } from './faults'
import type { Phones } from './phones'
import { codeOf } from './specialAddresses'

/** Keys of `message.data`, and of an APNs payload, by which the sandbox (and an app) knows a message. */
export const dataKeys = {
  messageId: 'stepcast_message_id',
  workspaceId: 'stepcast_workspace_id',
  userId: 'stepcast_user_id',
  url: 'stepcast_url',
} as const

const tokenLifetimeS = 3_600
// One per service account and hour is usual; 10,000 tell of a client that never reuses its token.
const maxTokens = 10_000
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const messagingScopes = ['https://www.googleapis.com/auth/firebase.messaging', 'https://www.googleapis.com/auth/cloud-platform']

/** Access tokens handed out by this process. */
class AccessTokens {
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
// What z.record(text, text) allows, without its copy and its parse of each key and value: a third of a message's time.
const texts = z.custom<Readonly<Record<string, string>>>().check(({ value, issues }) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    issues.push({ code: 'invalid_type', expected: 'record', input: value })
    return
  }
  for (const key in value) {
    if (typeof value[key] === 'string') continue
    issues.push({ code: 'invalid_type', expected: 'string', input: value[key], path: [key] })
    return
  }
})
const sendSchema = z.strictObject({
  validate_only: z.boolean().optional(),
  message: z.strictObject({
    token: text.min(1),
    notification: z.strictObject({ title: text.optional(), body: text.optional(), image: text.optional() }).optional(),
    data: texts.optional(),
    android: z.looseObject({ collapse_key: text.optional(), ttl: text.regex(/^\d+(\.\d{1,9})?s$/).optional() }).optional(),
    apns: z.looseObject({ headers: texts.optional() }).optional(),
    webpush: z.looseObject({ headers: texts.optional() }).optional(),
    fcm_options: z.looseObject({}).optional(),
  }),
})

/** A message FCM can read. */
export type FcmMessage = z.output<typeof sendSchema>['message']

/** Reads the body of a send: the message, or what is wrong and where. */
export function readMessage(body: unknown): FcmMessage | { readonly field: string; readonly description: string } {
  const parsed = sendSchema.safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    return { field: issue.path.join('.') || 'message', description: issue.message }
  }
  const { message } = parsed.data
  const reserved = Object.keys(message.data ?? {}).find((key) => key === 'from' || key === 'message_type' || /^(google|gcm)/.test(key))
  if (reserved !== undefined) return { field: `message.data[${reserved}]`, description: `Invalid data payload key: ${reserved}` }
  if (isTooBig(message)) return { field: 'message', description: 'Message too big' }
  if (Buffer.byteLength(message.apns?.headers?.['apns-collapse-id'] ?? '') > 64) {
    return { field: 'message.apns.headers', description: 'apns-collapse-id is longer than 64 bytes' }
  }
  return message
}

const maxMessageBytes = 4_096

function isTooBig({ data, notification }: FcmMessage): boolean {
  let characters = 0
  for (const key in data) characters += key.length + data[key]!.length
  for (const shown of [notification?.title, notification?.body, notification?.image]) characters += shown?.length ?? 0
  const entries = data === undefined ? 0 : Object.keys(data).length
  // JSON takes six bytes for a character at most, and `"":"",` for an entry: most messages need not be written down to be measured.
  if (characters * 6 + entries * 6 + 100 <= maxMessageBytes) return false
  return Buffer.byteLength(JSON.stringify({ data, notification })) > maxMessageBytes
}

/** 200: taken. */
const accepted = (project: string): Answer => ({
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

const withFcmError = (code: number, status: string, message: string, errorCode: string, headers: Record<string, string> = {}): Answer =>
  refusal(code, status, message, [{ '@type': fcmErrorType, errorCode }], headers)

/** The answers by FCM's error codes (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode). */
const byCode = {
  UNSPECIFIED_ERROR: () => withFcmError(500, 'UNKNOWN', 'Unknown error.', 'UNSPECIFIED_ERROR'),
  INVALID_ARGUMENT: () =>
    refusal(400, 'INVALID_ARGUMENT', 'The registration token is not a valid FCM registration token', [
      { '@type': fcmErrorType, errorCode: 'INVALID_ARGUMENT' },
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [{ field: 'message.token', description: 'The registration token is not a valid FCM registration token' }],
      },
    ]),
  UNREGISTERED: () => withFcmError(404, 'NOT_FOUND', 'Requested entity was not found.', 'UNREGISTERED'),
  SENDER_ID_MISMATCH: () => withFcmError(403, 'PERMISSION_DENIED', 'SenderId mismatch', 'SENDER_ID_MISMATCH'),
  QUOTA_EXCEEDED: (retryAfterS?: number) =>
    withFcmError(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded for sending messages.', 'QUOTA_EXCEEDED', retryAfter(retryAfterS)),
  UNAVAILABLE: () => withFcmError(503, 'UNAVAILABLE', 'The service is currently unavailable.', 'UNAVAILABLE'),
  INTERNAL: () => withFcmError(500, 'INTERNAL', 'Internal error encountered.', 'INTERNAL'),
  THIRD_PARTY_AUTH_ERROR: () => withFcmError(401, 'UNAUTHENTICATED', 'Auth error from APNS or Web Push Service', 'THIRD_PARTY_AUTH_ERROR'),
} as const
const codes = Object.keys(byCode) as (keyof typeof byCode)[]

const unauthenticated = (): Answer => refusal(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.', [])

/** For what the request says; the token is not to blame, so there is no FcmError. */
const invalidArgument = (field: string, description: string): Answer =>
  refusal(400, 'INVALID_ARGUMENT', description, [
    { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field, description }] },
  ])

function faultAnswer(fault: RequestFault): Answer | null {
  switch (fault.mode) {
    case '429':
      return byCode.QUOTA_EXCEEDED(fault.retryAfterS)
    case '500':
      return byCode.INTERNAL()
    case 'reject':
      return byCode.SENDER_ID_MISMATCH()
    case 'hang':
    case 'slow':
    case 'accept-then-reset':
    case 'goaway':
      return null
  }
}

function answerTo(project: string, message: ReturnType<typeof readMessage>): Answer {
  if (!('token' in message)) return invalidArgument(message.field, message.description)
  if (message.token.startsWith('bad_')) return byCode.UNREGISTERED()
  const code = codeOf(message.token, codes)
  return code === null ? accepted(project) : byCode[code]()
}

/** FCM: its token endpoint and its sends, whatever connection they came over. */
export class Fcm {
  private readonly tokens = new AccessTokens()

  constructor(
    private readonly desk: Desk,
    private readonly phones: Phones,
  ) {}

  /** `POST /token`: the OAuth2 grant of a service account → `{ access_token, expires_in, token_type }`, or 400 as Google words it. */
  token(form: Readonly<Record<string, unknown>>): Answer {
    return this.tokens.grant(form, Date.now())
  }

  /** `POST /v1/projects/{project}/messages:send` → 200 `{ name }`, or a google.rpc error with its FcmError. */
  send(project: string, body: unknown, authorization: string | undefined, isHttp2: boolean): Reply {
    const message = readMessage(body)
    const answer = answerTo(project, message)
    const refusal = this.tokens.accepts(authorization, Date.now()) ? null : unauthenticated()
    return this.desk.take({ provider: 'fcm', refusal, answer, messages: [this.judged(message, answer, body)], faultAnswer }, isHttp2)
  }

  private judged(message: ReturnType<typeof readMessage>, { status, logged }: Answer, body: unknown): Judged {
    if (!('token' in message)) {
      // What it cannot read it still lists, as far as it says whose it is.
      const { token: to = '', data } = (body as { message?: { token?: string; data?: Record<string, string> } } | undefined)?.message ?? {}
      return {
        messageId: text.safeParse(data?.[dataKeys.messageId]).data ?? null,
        to: text.safeParse(to).data ?? '',
        isAccepted: false,
        logged,
      }
    }
    const { token: to, data = {}, notification = {} } = message
    const { [dataKeys.messageId]: messageId = null, [dataKeys.workspaceId]: workspaceId, [dataKeys.userId]: userId } = data
    const accept = (): void => {
      if (messageId === null || !workspaceId || !userId) return
      const url = data[dataKeys.url]
      const { title = '', body = '', image = null } = notification
      const links = url === undefined ? [] : [{ label: '', url }]
      this.phones.receive({ channel: 'push', provider: 'fcm', messageId, workspaceId, userId, to, title, body, imageUrl: image, links })
    }
    return { messageId, to, isAccepted: status === 200, logged, accept }
  }
}
