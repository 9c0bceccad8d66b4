// Twilio's Messages resource and its callbacks: twilio.com/docs/messaging/api/message-resource, …/usage/webhooks/webhooks-security.
import { createHmac, randomBytes } from 'node:crypto'
import { SegmentedMessage } from 'sms-segments-calculator'
import { retryAfter, type Answer } from './answer'
import { Callbacks } from './callbacks'
import type { Desk, Judged, Reply } from './desk'
import type { Faults, RequestFault } from './faults'
import type { Carrier, Phones } from './phones'
import type { Product, ProductCall, ReportAnswer } from './product'
import { isNoNumber, twilioCodeOf } from './specialAddresses'

/** Twilio's errors spoken here, with their status and words (twilio.com/docs/api/errors). */
const errors: Readonly<Record<number, readonly [status: number, message: string]>> = {
  20003: [401, 'Authenticate'],
  20404: [404, 'The requested resource was not found'],
  20422: [400, 'Invalid Parameter'],
  20429: [429, 'Too Many Requests'],
  20500: [500, 'Internal Server Error'],
  21211: [400, "Invalid 'To' Phone Number"],
  21212: [400, "Invalid 'From' Number"],
  21408: [400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"],
  21602: [400, 'Message body is required.'],
  21603: [400, "A 'From' phone number is required."],
  21604: [400, "A 'To' phone number is required."],
  21609: [400, "Invalid 'StatusCallback' URL"],
  21610: [400, 'Attempt to send to unsubscribed recipient'],
  21611: [429, "This 'From' number has exceeded the maximum number of queued messages"],
  21612: [400, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters"],
  21614: [400, "'To' number is not a valid mobile number"],
  21617: [400, 'The concatenated message body exceeds the 1600 character limit'],
  21635: [400, "'To' number cannot be a landline"],
}
/** Errors that come later, in a status callback, with the status they make. */
const laterErrors: Readonly<Record<number, 'undelivered' | 'failed'>> = {
  30001: 'failed',
  30002: 'failed',
  30003: 'undelivered',
  30004: 'undelivered',
  30005: 'undelivered',
  30006: 'undelivered',
  30007: 'undelivered',
  30008: 'undelivered',
  30034: 'undelivered',
  30036: 'failed',
}
const unreachableHandset = 30003

// A sender may leave a while between a message and what becomes of it.
const doomedAfterMs = 100
const maxBody = 1_600
// Twilio's own bounds, seconds.
const maxValidityS = 36_000
// As many as a long test asks for; 1 kB each.
const maxMessages = 20_000
const maxAccounts = 1_000
// A number is texted by few, as a rule.
const maxWorkspacesOfNumber = 20
const apiVersion = '2010-04-01'
/** A number of a messaging service. */
const anyNumber = '+15005550006'

const accountSidShape = /^AC[0-9a-fA-F]{32}$/

function error(code: number, headers: Record<string, string> = {}): Answer {
  const [status, message] = errors[code]!
  const body = { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status }
  return { status, headers, body, logged: `${status} ${code}` }
}

function faultAnswer(fault: RequestFault): Answer | null {
  switch (fault.mode) {
    case '429':
      return error(20429, retryAfter(fault.retryAfterS))
    case '500':
      return error(20500)
    case 'reject':
      return error(21612)
    case 'hang':
    case 'slow':
    case 'accept-then-reset':
    case 'goaway':
      return null
  }
}

/** `X-Twilio-Signature`: base64 of HMAC-SHA1, under the auth token, of the URL and then each parameter's name and value, by name. */
export function twilioSignature(authToken: string, url: string, params: Readonly<Record<string, string>>): string {
  const signed = Object.keys(params)
    .sort()
    .reduce((text, name) => text + name + params[name]!, url)
  return createHmac('sha1', authToken).update(signed, 'utf8').digest('base64')
}

/** The form of a message, as far as it is read. */
export type MessageForm = Readonly<Record<string, unknown>>
type Fields = { readonly [K in 'To' | 'From' | 'MessagingServiceSid' | 'Body' | 'StatusCallback' | 'ValidityPeriod']: string }

const fieldsOf = (form: MessageForm): Fields => {
  const text = (name: string): string => (typeof form[name] === 'string' ? form[name] : '')
  return {
    To: text('To'),
    From: text('From'),
    MessagingServiceSid: text('MessagingServiceSid'),
    Body: text('Body'),
    StatusCallback: text('StatusCallback'),
    ValidityPeriod: text('ValidityPeriod'),
  }
}

/** The code of what is wrong; null: nothing. */
function problemOf(
  { To, From, MessagingServiceSid, Body, StatusCallback, ValidityPeriod }: Fields,
  mayCall: (url: string) => boolean,
): number | null {
  if (To === '') return 21604
  if (From === '' && MessagingServiceSid === '') return 21603
  // E.164, a short code, or a name of up to 11 letters, digits and spaces with a letter in it.
  if (From !== '' && !/^(\+[1-9]\d{1,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/.test(From)) return 21212
  if (Body === '') return 21602
  if (Body.length > maxBody) return 21617
  if (StatusCallback !== '' && !mayCall(StatusCallback)) return 21609
  if (ValidityPeriod !== '' && !(/^\d+$/.test(ValidityPeriod) && Number(ValidityPeriod) >= 1 && Number(ValidityPeriod) <= maxValidityS))
    return 20422
  if (!/^\+[1-9]\d{6,14}$/.test(To) || isNoNumber(To)) return 21211
  const asked = twilioCodeOf(To)
  return asked !== null && errors[asked] !== undefined ? asked : null
}

/** Twilio: messages of any account whose credentials have the right shape, or are the registered ones. */
export class Twilio {
  private readonly accounts = new Map<string, string>()
  private readonly messages = new Map<string, TwilioMessage>()
  /** By number and workspace, who texted it last: whom its owner answers. */
  private readonly correspondents = new Map<string, Map<string, TwilioMessage>>()
  /** Who has answered STOP to whom. */
  private readonly unsubscribed = new Set<string>()

  constructor(
    private readonly desk: Desk,
    private readonly phones: Phones,
    private readonly product: Product,
    private readonly faults: Faults,
  ) {}

  /** From now on only this token is good for the account; callbacks are signed with it. */
  register(accountSid: string, authToken: string): void {
    if (this.accounts.size >= maxAccounts) this.accounts.delete(this.accounts.keys().next().value!)
    this.accounts.set(accountSid, authToken)
  }

  /** `POST …/Messages.json` → 201 with the message, or Twilio's error. */
  create(accountSid: string, authorization: string | undefined, form: MessageForm): Reply {
    const authToken = this.authTokenOf(accountSid, authorization)
    const fields = fieldsOf(form)
    const { messageId, workspaceId } = namesIn(fields.StatusCallback)
    const problem =
      problemOf(fields, (url) => this.product.mayCall(url)) ?? (this.unsubscribed.has(stopOf(accountSid, fields)) ? 21610 : null)
    const message = new TwilioMessage(accountSid, authToken ?? '', fields)
    const answer: Answer = problem === null ? { status: 201, body: message.resource(), logged: '201' } : error(problem)
    const judged: Judged = {
      messageId,
      to: fields.To,
      isAccepted: problem === null,
      logged: answer.logged,
      accept: () => this.accept(message, messageId, workspaceId),
    }
    const refusal = authToken === null ? error(20003) : null
    return this.desk.take({ provider: 'twilio', refusal, answer, messages: [judged], faultAnswer }, false)
  }

  /** `GET …/Messages/{sid}.json` → 200 with the message as it stands (the last 20,000), or Twilio's error. */
  read(accountSid: string, authorization: string | undefined, sid: string): Answer {
    if (this.authTokenOf(accountSid, authorization) === null) return error(20003)
    const message = this.messages.get(sid)
    if (message === undefined || message.accountSid !== accountSid) return error(20404)
    return { status: 200, body: message.resource(), logged: '200' }
  }

  /**
   * The owner of a number answers whoever texted it last (of a workspace): Twilio keeps it for the sender and passes it on to the product, where
   * its status callbacks go too.
   */
  async answer(number: string, word: 'STOP' | 'START', workspaceId: string | null): Promise<ReportAnswer> {
    const all = this.correspondents.get(number)
    const message = workspaceId === null ? [...(all?.values() ?? [])].at(-1) : all?.get(workspaceId)
    if (message === undefined) return { kind: 'no_such_message' }
    const stop = stopOf(message.accountSid, message.fields)
    if (word === 'STOP') this.unsubscribed.add(stop)
    else this.unsubscribed.delete(stop)
    if (this.unsubscribed.size > maxMessages) this.unsubscribed.delete(this.unsubscribed.values().next().value!)
    return this.product.call(message.answered(word))
  }

  private corresponds(message: TwilioMessage, workspaceId: string): void {
    const { To: number } = message.fields
    const all = this.correspondents.get(number) ?? new Map<string, TwilioMessage>()
    // Last again: the last is answered, and the first forgotten.
    all.delete(workspaceId)
    if (all.size < maxWorkspacesOfNumber) all.set(workspaceId, message)
    this.correspondents.delete(number)
    if (this.correspondents.size >= maxMessages) this.correspondents.delete(this.correspondents.keys().next().value!)
    this.correspondents.set(number, all)
  }

  private accept(message: TwilioMessage, messageId: string | null, workspaceId: string | null): void {
    if (this.messages.size >= maxMessages) this.messages.delete(this.messages.keys().next().value!)
    this.messages.set(message.sid, message)
    if (workspaceId !== null) this.corresponds(message, workspaceId)
    const { To: to, Body: body } = message.fields
    const asked = twilioCodeOf(to) ?? 0
    const isDoomed = asked in laterErrors
    if (isDoomed) message.fails = asked
    message.begin(new Callbacks(this.product, this.faults, 'twilio'))
    const id = messageId ?? message.sid
    const links = [...body.matchAll(/https?:\/\/[^\s<>"]+/g)].map(([url]) => ({ label: '', url }))
    this.phones.receive({
      ...{ channel: 'sms', provider: 'twilio', messageId: id, workspaceId, userId: null, to, title: '', body, imageUrl: null, links },
      ...{ carrier: message, isDoomed },
    })
    if (isDoomed) void this.product.pause(doomedAfterMs).then((goesOn) => (goesOn ? this.phones.fail(id) : undefined))
  }

  // Basic authentication carries the token, so an account that nobody registered is known from its first call.
  private authTokenOf(accountSid: string, authorization: string | undefined): string | null {
    const pair = Buffer.from(/^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization ?? '')?.[1] ?? '', 'base64').toString('utf8')
    const colon = pair.indexOf(':')
    const token = pair.slice(colon + 1)
    if (!accountSidShape.test(accountSid) || colon < 0 || pair.slice(0, colon) !== accountSid || token === '') return null
    const registered = this.accounts.get(accountSid)
    if (registered === undefined) return token
    return registered === token ? token : null
  }
}

/** A STOP is of a number to a sender of an account; a service's counts for all of its numbers. */
const stopOf = (accountSid: string, { To, From, MessagingServiceSid }: Fields): string =>
  `${accountSid} ${MessagingServiceSid || From} ${To}`

/** Stepcast's callback address names the message and its workspace: `…/{workspaceId}?m={messageId}`. */
function namesIn(statusCallback: string): { readonly messageId: string | null; readonly workspaceId: string | null } {
  if (!URL.canParse(statusCallback)) return { messageId: null, workspaceId: null }
  const { searchParams, pathname } = new URL(statusCallback)
  return { messageId: searchParams.get('m'), workspaceId: pathname.split('/').at(-1) || null }
}

/** One message of the resource. */
class TwilioMessage implements Carrier {
  readonly sid = `SM${randomBytes(16).toString('hex')}`
  /** The error it fails with, where it does. */
  fails = unreachableHandset
  private status = 'queued'
  private errorCode: number | null = null
  private callbacks: Callbacks | null = null
  private readonly createdAt = new Date()
  private updatedAt = this.createdAt
  private sentAt: Date | null = null

  constructor(
    readonly accountSid: string,
    private readonly authToken: string,
    readonly fields: Fields,
  ) {}

  /** It is taken: `queued` and `sent` are called back. */
  begin(callbacks: Callbacks): void {
    this.callbacks = callbacks
    const queued = this.call()
    this.become('sent')
    this.sentAt = this.updatedAt
    if (queued !== null) callbacks.progress([queued, this.call()!])
  }

  delivered(): Promise<ReportAnswer> {
    this.become('delivered')
    return this.callBack()
  }

  failed(): Promise<ReportAnswer> {
    this.become(laterErrors[this.fails] ?? 'undelivered')
    this.errorCode = this.fails
    return this.callBack()
  }

  /** As the API shows it. */
  resource(): object {
    const { To: to, From: from, MessagingServiceSid: service, Body: body } = this.fields
    const uri = `/${apiVersion}/Accounts/${this.accountSid}/Messages/${this.sid}`
    return {
      account_sid: this.accountSid,
      api_version: apiVersion,
      body,
      date_created: this.createdAt.toUTCString(),
      date_sent: this.sentAt?.toUTCString() ?? null,
      date_updated: this.updatedAt.toUTCString(),
      direction: 'outbound-api',
      error_code: this.errorCode,
      error_message: null,
      from: from || null,
      messaging_service_sid: service || null,
      num_media: '0',
      num_segments: String(new SegmentedMessage(body).segmentsCount),
      // Known only when the carrier has billed it.
      price: null,
      price_unit: 'USD',
      sid: this.sid,
      status: this.status,
      subresource_uris: { media: `${uri}/Media.json` },
      to,
      uri: `${uri}.json`,
    }
  }

  /** What its receiver answers, as Twilio passes it on. */
  answered(text: string): ProductCall {
    const { To, From, MessagingServiceSid, StatusCallback } = this.fields
    const url = StatusCallback.replace(/[?#].*$/s, '')
    const sid = `SM${randomBytes(16).toString('hex')}`
    const params: Record<string, string> = {
      AccountSid: this.accountSid,
      ApiVersion: apiVersion,
      Body: text,
      From: To,
      MessageSid: sid,
      NumMedia: '0',
      NumSegments: '1',
      SmsMessageSid: sid,
      SmsSid: sid,
      SmsStatus: 'received',
      To: From || anyNumber,
      ...(MessagingServiceSid === '' ? {} : { MessagingServiceSid }),
    }
    return this.signed(url, params)
  }

  private become(status: string): void {
    this.status = status
    this.updatedAt = new Date()
  }

  private async callBack(): Promise<ReportAnswer> {
    const call = this.call()
    return call === null || this.callbacks === null ? { kind: 'reported' } : this.callbacks.last(call)
  }

  private call(): ProductCall | null {
    const { To, From, MessagingServiceSid, StatusCallback: url } = this.fields
    if (url === '') return null
    const params: Record<string, string> = {
      AccountSid: this.accountSid,
      ApiVersion: apiVersion,
      From: From || anyNumber,
      MessageSid: this.sid,
      MessageStatus: this.status,
      SmsSid: this.sid,
      SmsStatus: this.status,
      To,
      ...(MessagingServiceSid === '' ? {} : { MessagingServiceSid }),
      ...(this.errorCode === null ? {} : { ErrorCode: String(this.errorCode) }),
    }
    return this.signed(url, params)
  }

  private signed(url: string, params: Readonly<Record<string, string>>): ProductCall {
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'TwilioProxy/1.1',
      'x-twilio-signature': twilioSignature(this.authToken, url, params),
    }
    return { method: 'POST', url, headers, body: new URLSearchParams(params).toString() }
  }
}
