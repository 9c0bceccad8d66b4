// Solapi's message API and its webhooks (solapi.com/developers; shapes as in solapi-nodejs, status codes as in solapi/documents).
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { retryAfter, type Answer } from './answer'
import { Callbacks } from './callbacks'
import type { Desk, Judged, Reply } from './desk'
import type { Faults, RequestFault } from './faults'
import type { Carrier, PhoneLink, Phones } from './phones'
import type { Product, ProductCall, ReportAnswer } from './product'
import { isNoNumber, solapiCodeOf } from './specialAddresses'

/** Solapi's status codes spoken here: 1xxx and 2xxx refused at once, 3xxx in the report, 4000 done. */
const statusMessages: Readonly<Record<string, string>> = {
  1010: '필수 입력 값 미입력',
  1011: 'Format Error',
  1024: '서버 오류',
  1025: '잘못된 메시지 타입',
  1026: '중복 수신번호',
  1030: '잔액 부족',
  1031: 'ATA, CTA는 한/영포함 1000자까지 사용 가능 합니다.',
  1032: '유효한 커스텀 필드 값이 아닙니다.',
  1041: '유효한 플러스 친구 값이 아닙니다.',
  1042: '유효한 템플릿 아이디가 아닙니다.',
  1043: '등록한 템플릿과 내용이 다릅니다.',
  1044: '유효한 버튼 값이 아닙니다.',
  1045: '유효한 버튼 URL 값이 아닙니다.',
  1048: '버튼 URL 값은 최대 100자까지 사용 가능합니다.',
  1049: '버튼 명은 최대 14자까지 사용 가능합니다.',
  1050: '버튼은 최대 5개까지 사용 가능합니다.',
  1060: '차단된 수신번호',
  1061: '사용자에 의해 수신거부 됨',
  1062: '발신번호 미등록',
  2000: '정상 접수(이통사로 접수 예정)',
  2024: '서버 오류',
  2060: '차단된 수신번호',
  2061: '사용자에 의해 수신거부 됨',
  2063: '차단된 계정',
  2230: '잔액 부족',
  3010: '수신번호 형식 오류',
  3012: '연동처 서버 오류',
  3014: '알 수 없는 메시지 상태',
  3040: '전송시간 초과',
  3101: '발신 프로필 키가 유효하지 않음',
  3102: '친구 관계가 아닌 경우',
  3103: '메시지와 템플릿 불일치',
  3104: '카카오톡 미사용자',
  3105: '미등록 템플릿',
  3106: '유효하지 않은 채널',
  3107: '72시간 이내 카카오톡 미사용자, 알림톡 차단한 사용자',
  3108: '메시지 발송 가능 시간이 아님',
  4000: '발송 처리 완료',
}
const noKakaoUser = '3104'

// Solapi's own bounds.
const skewMs = 15 * 60_000
const maxMessagesPerCall = 10_000
// A signature is good once within 15 minutes; beyond that many calls in them the oldest may be used again.
const maxSignatures = 100_000
const maxAccounts = 1_000
const doomedAfterMs = 100

const problem = (status: number, errorCode: string, errorMessage: string, headers: Record<string, string> = {}): Answer => ({
  ...{ status, headers, body: { errorCode, errorMessage }, logged: `${status} ${errorCode}` },
})

function faultAnswer(fault: RequestFault): Answer | null {
  switch (fault.mode) {
    case '429':
      return problem(429, 'TooManyRequests', 'Too many requests.', retryAfter(fault.retryAfterS))
    case '500':
      return problem(500, 'InternalError', 'Internal server error.')
    case 'reject':
      return problem(400, 'ValidationError', '등록한 템플릿과 내용이 다릅니다.')
    case 'hang':
    case 'slow':
    case 'accept-then-reset':
    case 'goaway':
      return null
  }
}

const buttonSchema = z.looseObject({
  buttonName: z.string(),
  buttonType: z.string(),
  linkMo: z.string().nullish(),
  linkPc: z.string().nullish(),
})
const messageSchema = z.looseObject({
  to: z.string(),
  from: z.string().optional(),
  text: z.string().optional(),
  type: z.string().optional(),
  country: z.string().optional(),
  kakaoOptions: z
    .looseObject({
      pfId: z.string(),
      templateId: z.string().optional(),
      disableSms: z.boolean().optional(),
      variables: z.record(z.string(), z.string()).optional(),
      buttons: z.array(buttonSchema).optional(),
    })
    .optional(),
  customFields: z.record(z.string(), z.unknown()).optional(),
})
const sendManySchema = z.looseObject({
  messages: z.array(messageSchema).min(1).max(maxMessagesPerCall),
  allowDuplicates: z.boolean().optional(),
  showMessageList: z.boolean().optional(),
})
const sendOneSchema = z.looseObject({ message: messageSchema })
type Message = z.output<typeof messageSchema>

/** A webhook of an account: where its reports go, and what proves them. */
export const webhookSchema = z.strictObject({
  apiKey: z.string().min(1).max(200),
  url: z.url({ protocol: /^https?$/ }).max(2_000),
  secret: z.string().min(1).max(500),
})
/** See {@link webhookSchema}. */
export type Webhook = z.output<typeof webhookSchema>

/** `X-Solapi-Secret`: SHA-1 of the webhook's secret, hexadecimal. It is the same for every call and says nothing of the body. */
const solapiSecret = (secret: string): string => createHash('sha1').update(secret, 'utf8').digest('hex')

/** The status code of what is wrong with a message; null: nothing. */
function codeFor(message: Message, to: string): string | null {
  const { type, text = '', kakaoOptions, customFields = {} } = message
  if (!/^\d{6,15}$/.test(message.to) || isNoNumber(to)) return '3010'
  if (type !== undefined && type !== 'ATA') return '1025'
  if (kakaoOptions === undefined) return '1010'
  if (kakaoOptions.pfId === '') return '1041'
  if (kakaoOptions.templateId === undefined || kakaoOptions.templateId === '') return '1042'
  if (text.length > 1_000) return '1031'
  const isField = ([name, value]: [string, unknown]): boolean => name.length <= 30 && typeof value === 'string' && value.length <= 100
  if (!Object.entries(customFields).every(isField)) return '1032'
  return codeForButtons(kakaoOptions.buttons ?? []) ?? knownCode(solapiCodeOf(to))
}

function codeForButtons(buttons: readonly z.output<typeof buttonSchema>[]): string | null {
  if (buttons.length > 5) return '1050'
  for (const { buttonName, buttonType, linkMo, linkPc } of buttons) {
    if (buttonName === '' || buttonName.length > 14) return '1049'
    if (!['WL', 'AL', 'BK', 'MD', 'DS', 'BC', 'BT', 'AC'].includes(buttonType)) return '1044'
    const links = [linkMo, linkPc].filter((link) => typeof link === 'string')
    if (buttonType === 'WL' && typeof linkMo !== 'string') return '1045'
    if (links.some((link) => !/^https?:\/\//.test(link))) return '1045'
    if (links.some((link) => link.length > 100)) return '1048'
  }
  return null
}

const knownCode = (code: string | null): string | null => (code !== null && code in statusMessages ? code : null)
const comesLater = (code: string | null): boolean => code !== null && code.startsWith('3') && code !== '3010'

/** The number in E.164: Solapi writes it without `+`, Korean ones as at home, others with `country`, their calling code. */
function e164(to: string, country: string | undefined): string {
  if (country !== undefined && country !== '82')
    return `+${country}${to.startsWith(country) && to.length > 10 ? to.slice(country.length) : to}`
  if (to.startsWith('0')) return `+82${to.slice(1)}`
  return `+${to}`
}

/** Solapi: Alimtalks of any account whose signature has the right shape, or is right under the registered secret. */
export class Solapi {
  private readonly accounts = new Map<string, string>()
  private readonly webhooks = new Map<string, Webhook>()
  private readonly signatures = new Set<string>()

  constructor(
    private readonly desk: Desk,
    private readonly phones: Phones,
    private readonly product: Product,
    private readonly faults: Faults,
  ) {}

  /** From now on signatures of this account are checked. */
  register(apiKey: string, apiSecret: string): void {
    if (this.accounts.size >= maxAccounts) this.accounts.delete(this.accounts.keys().next().value!)
    this.accounts.set(apiKey, apiSecret)
  }

  /** Where the reports of an account go; one address an account. */
  registerWebhook(webhook: Webhook): void {
    if (this.webhooks.size >= maxAccounts) this.webhooks.delete(this.webhooks.keys().next().value!)
    this.webhooks.set(webhook.apiKey, webhook)
  }

  /** `POST /messages/v4/send-many/detail` → 200 `{ failedMessageList, groupInfo, messageList? }`, also when every message was refused. */
  sendMany(authorization: string | undefined, body: unknown): Reply {
    const { apiKey, refusal } = this.callerOf(authorization, Date.now())
    const parsed = sendManySchema.safeParse(body)
    if (!parsed.success) return this.unread(refusal, parsed)
    const { messages, allowDuplicates = false, showMessageList = false } = parsed.data
    const groupId = newId('G4V')
    const seen = new Set<string>()
    const registered = messages.map((message) => {
      const isRepeat = !allowDuplicates && seen.has(message.to)
      seen.add(message.to)
      return new Alimtalk(message, groupId, apiKey, isRepeat ? '1026' : undefined)
    })
    const failed = registered.filter(({ isAccepted }) => !isAccepted)
    const answer: Answer = {
      status: 200,
      body: {
        failedMessageList: failed.map((one) => one.result()),
        groupInfo: groupInfo(groupId, apiKey, allowDuplicates, registered.length, failed.length),
        ...(showMessageList ? { messageList: registered.map((one) => one.listed()) } : {}),
      },
      logged: '200',
    }
    const judged = registered.map((one) => this.judged(one))
    return this.desk.take({ provider: 'solapi', refusal, answer, messages: judged, faultAnswer }, false)
  }

  /** `POST /messages/v4/send` → 200 with the registered message, or 400 `{ errorCode, errorMessage }`. */
  sendOne(authorization: string | undefined, body: unknown): Reply {
    const { apiKey, refusal } = this.callerOf(authorization, Date.now())
    const parsed = sendOneSchema.safeParse(body)
    if (!parsed.success) return this.unread(refusal, parsed)
    const alimtalk = new Alimtalk(parsed.data.message, newId('G4V'), apiKey)
    const answer = alimtalk.isAccepted
      ? { status: 200, body: alimtalk.result(), logged: '200' }
      : problem(400, alimtalk.statusCode, statusMessages[alimtalk.statusCode] ?? '')
    return this.desk.take({ provider: 'solapi', refusal, answer, messages: [this.judged(alimtalk)], faultAnswer }, false)
  }

  private unread(refusal: Answer | null, parsed: z.ZodSafeParseResult<unknown>): Reply {
    const wrong = parsed.error?.issues[0]
    const answer = problem(400, 'ValidationError', wrong === undefined ? '' : `"${wrong.path.join('.')}" ${wrong.message}`)
    const messages = [{ messageId: null, to: '', isAccepted: false, logged: answer.logged }]
    return this.desk.take({ provider: 'solapi', refusal, answer, messages, faultAnswer }, false)
  }

  private judged(alimtalk: Alimtalk): Judged {
    const logged = alimtalk.isAccepted ? '200' : `200 ${alimtalk.statusCode}`
    return { messageId: alimtalk.given, to: alimtalk.to, isAccepted: alimtalk.isAccepted, logged, accept: () => this.accept(alimtalk) }
  }

  private accept(alimtalk: Alimtalk): void {
    const webhook = this.webhooks.get(alimtalk.apiKey) ?? null
    alimtalk.begin(webhook, new Callbacks(this.product, this.faults, 'solapi'))
    const { text = '', kakaoOptions } = alimtalk.message
    const links = (kakaoOptions?.buttons ?? []).flatMap(({ buttonName, linkMo }): PhoneLink[] =>
      typeof linkMo === 'string' ? [{ label: buttonName, url: linkMo }] : [],
    )
    const workspaceId = webhook === null ? null : new URL(webhook.url).pathname.split('/').at(-1) || null
    const messageId = alimtalk.given ?? alimtalk.messageId
    const isDoomed = alimtalk.asked !== null
    this.phones.receive({
      ...{ channel: 'kakao', provider: 'solapi', messageId, workspaceId, userId: null, to: alimtalk.to, title: '', body: text },
      ...{ imageUrl: null, links, carrier: alimtalk, isDoomed },
    })
    if (isDoomed) void this.product.pause(doomedAfterMs).then((goesOn) => (goesOn ? this.phones.fail(messageId) : undefined))
  }

  /** `HMAC-SHA256 apiKey=…, date=…, salt=…, signature=…`: HMAC of date and salt under the API secret, good once in 15 minutes. */
  private callerOf(authorization: string | undefined, nowMs: number): { readonly apiKey: string; readonly refusal: Answer | null } {
    const [, apiKey = '', date = '', salt = '', signature = ''] =
      /^HMAC-SHA256 apiKey=([^,\s]+), ?date=([^,\s]+), ?salt=([^,\s]+), ?signature=([0-9a-f]{64})$/i.exec(authorization ?? '') ?? []
    const refused = (errorCode: string, message: string) => ({ apiKey, refusal: problem(403, errorCode, message) })
    if (apiKey === '') return refused('InvalidAPIKey', '유효한 API Key가 아닙니다.')
    if (!(Math.abs(Date.parse(date) - nowMs) <= skewMs))
      return refused('RequestTimeTooSkewed', '시간 값이 서버 시간을 15분 이상 벗어났습니다.')
    const secret = this.accounts.get(apiKey)
    const isSalted = salt.length >= 12 && salt.length <= 64
    if (!isSalted || (secret !== undefined && !isSigned(secret, date + salt, signature))) {
      return refused('SignatureDoesNotMatch', '생성한 Signature가 일치하지 않습니다.')
    }
    if (this.signatures.has(signature)) return refused('DuplicatedSignature', '15분 안에 동일한 signature 값')
    if (this.signatures.size >= maxSignatures) this.signatures.delete(this.signatures.keys().next().value!)
    this.signatures.add(signature)
    return { apiKey, refusal: null }
  }
}

function isSigned(secret: string, text: string, signature: string): boolean {
  const right = createHmac('sha256', secret).update(text, 'utf8').digest()
  return timingSafeEqual(right, Buffer.from(signature, 'hex'))
}

const newId = (prefix: string): string =>
  prefix + new Date().toISOString().replace(/\D/g, '').slice(0, 14) + randomBytes(8).toString('hex').toUpperCase()

/** An account's number, always the same for its key. */
const accountIdOf = (apiKey: string): string => createHash('sha256').update(apiKey).digest('hex').slice(0, 14)

/** What Solapi tells of a group of messages. */
function groupInfo(groupId: string, apiKey: string, allowDuplicates: boolean, total: number, failed: number): object {
  const now = new Date().toISOString()
  const none = { requested: 0, replacement: 0, refund: 0, sum: 0 }
  return {
    count: {
      ...{ total, sentTotal: 0, sentFailed: 0, sentSuccess: 0, sentPending: 0, sentReplacement: 0, refund: 0 },
      ...{ registeredFailed: failed, registeredSuccess: total - failed },
    },
    countForCharge: { sms: {}, lms: {}, mms: {}, ata: { 82: total - failed }, cta: {}, cti: {} },
    balance: none,
    point: none,
    app: { profit: { sms: 0, lms: 0, mms: 0, ata: 0, cta: 0, cti: 0 }, appId: null },
    log: [],
    status: 'SENDING',
    allowDuplicates,
    isRefunded: false,
    accountId: accountIdOf(apiKey),
    masterAccountId: null,
    apiVersion: '4',
    groupId,
    price: {},
    dateCreated: now,
    dateUpdated: now,
    scheduledDate: null,
    dateSent: now,
    dateCompleted: null,
  }
}

/** One Alimtalk. */
class Alimtalk implements Carrier {
  readonly messageId = newId('M4V')
  /** E.164. */
  readonly to: string
  /** The product's id, from the custom fields. */
  readonly given: string | null
  /** The code its number asks for in the report; null: none. */
  readonly asked: string | null
  /** 2000 when taken, otherwise why not. */
  readonly statusCode: string
  private webhook: Webhook | null = null
  private callbacks: Callbacks | null = null
  private readonly receivedAt = new Date().toISOString()

  constructor(
    readonly message: Message,
    private readonly groupId: string,
    readonly apiKey: string,
    refusal?: string,
  ) {
    this.to = e164(message.to, message.country)
    const given = message.customFields?.messageId
    this.given = typeof given === 'string' ? given : null
    const code = refusal ?? codeFor(message, this.to)
    this.asked = comesLater(code) ? code : null
    this.statusCode = this.asked === null ? (code ?? '2000') : '2000'
  }

  get isAccepted(): boolean {
    return this.statusCode === '2000'
  }

  /** It is taken. */
  begin(webhook: Webhook | null, callbacks: Callbacks): void {
    this.webhook = webhook
    this.callbacks = callbacks
  }

  delivered(): Promise<ReportAnswer> {
    return this.report('4000')
  }

  failed(): Promise<ReportAnswer> {
    return this.report(this.asked ?? noKakaoUser)
  }

  /** As a result of registration. */
  result(): object {
    const { from = '', type = 'ATA', country = '82', customFields } = this.message
    const { messageId, groupId, statusCode } = this
    const statusMessage = statusMessages[statusCode]
    const accountId = accountIdOf(this.apiKey)
    return { groupId, messageId, accountId, statusMessage, statusCode, to: this.message.to, from, type, country, customFields }
  }

  /** As in `messageList`. */
  listed(): object {
    const { messageId, statusCode } = this
    return { messageId, statusCode, customFields: this.message.customFields, statusMessage: statusMessages[statusCode] }
  }

  private async report(statusCode: string): Promise<ReportAnswer> {
    if (this.webhook === null || this.callbacks === null) return { kind: 'reported' }
    return this.callbacks.last(this.call(this.webhook, statusCode))
  }

  // Reports come as a list, of one here.
  private call({ url, secret }: Webhook, statusCode: string): ProductCall {
    const now = new Date().toISOString()
    const report = {
      ...this.result(),
      ...{ statusCode, statusMessage: statusMessages[statusCode], networkCode: null, replacement: false },
      ...{ dateReceived: this.receivedAt, dateProcessed: now, dateReported: now },
    }
    const headers = {
      'content-type': 'application/json',
      'x-solapi-event-name': 'SINGLE-REPORT',
      'x-solapi-secret': solapiSecret(secret),
    }
    return { method: 'POST', url, headers, body: JSON.stringify([report]) }
  }
}
