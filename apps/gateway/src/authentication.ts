// Who is calling from outside: a server with an API key, a person's app with a user token, or the installation's own root key.
import { createHash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Seal } from '@stepcast/accounts'
import { freeIdProblem } from '@stepcast/contracts'
import { type CallerContext, forbidden, unauthenticated, unreadable } from '@stepcast/service'
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Request } from 'express'
import type { Pool } from 'pg'
import { type KeyOwner, ownerOfKey } from './apiKeys'
import { Recent } from './recent'
import { parseKid, verifyingKey } from './signingKeys'

// A user token lives a day at most; the minute allows for a signer's clock that is ahead of ours.
const maxLifetimeS = 24 * 3_600
const clockSkewS = 60
const expirySkewS = 5

export class Authentication {
  private readonly owners = new Recent<KeyOwner>()
  private readonly verifying = new Recent<KeyObject>()
  private readonly rootHash: Buffer

  constructor(
    private readonly pool: Pool,
    private readonly seal: Seal,
    rootKey: string,
  ) {
    this.rootHash = hash(rootKey)
  }

  /** The caller of a request; null without credentials. Throws 401 for invalid ones, 403 for acting for a user without scope `send`. */
  async callerOf(request: Request): Promise<CallerContext | null> {
    if (request.headers.authorization === undefined) return null
    const credential = credentialOf(request)
    const actsFor = onBehalfOf(request)
    if (timingSafeEqual(hash(credential), this.rootHash)) return { workspaceId: '', scopes: [], userId: null, via: 'root', keyId: null }
    if (credential.startsWith('sk_')) return this.server(credential, actsFor)
    if (actsFor !== null) throw forbidden('A user token speaks for its own user: On-Behalf-Of goes with an API key of scope send.')
    return this.user(credential)
  }

  /** How long the credentials of a request hold that {@link callerOf} has taken; for what stays open longer than a request. */
  async holdsOf(caller: CallerContext, request: Request): Promise<Holds> {
    const credential = credentialOf(request)
    if (caller.via === 'user_token') {
      const kid = kidOf(credential)
      const { exp } = decodeJwt(credential)
      return {
        until: (exp! + expirySkewS) * 1_000,
        stillStands: async () => (await this.verifying.get(kid, () => verifyingKey(this.pool, this.seal, kid))) !== null,
      }
    }
    if (caller.via === 'root') return { until: null, stillStands: () => Promise.resolve(true) }
    const name = hash(credential).toString('base64')
    return { until: null, stillStands: async () => (await this.owners.get(name, () => ownerOfKey(this.pool, credential))) !== null }
  }

  /** Forgets recent lookups: a key was revoked. */
  forget(): void {
    this.owners.clear()
    this.verifying.clear()
  }

  private async server(key: string, actsFor: string | null): Promise<CallerContext> {
    const owner = await this.owners.get(hash(key).toString('base64'), () => ownerOfKey(this.pool, key))
    if (owner === null) throw unauthenticated('The API key is unknown or revoked.')
    if (actsFor !== null && !owner.scopes.includes('send'))
      throw forbidden(`On-Behalf-Of needs scope send; this key has ${owner.scopes.join(', ')}.`)
    return { workspaceId: owner.workspaceId, scopes: owner.scopes, userId: actsFor, via: 'api_key', keyId: owner.keyId }
  }

  private async user(token: string): Promise<CallerContext> {
    const kid = kidOf(token)
    const key = await this.verifying.get(kid, () => verifyingKey(this.pool, this.seal, kid))
    if (key === null) throw unauthenticated('The signing key that "kid" names is unknown or revoked.')
    const { sub, exp, iat } = await verified(token, key)
    // contracts.md: a minute of tolerance for when it begins, five seconds for when it ends.
    const now = Date.now() / 1_000
    if (now > exp! + expirySkewS) throw unauthenticated('The user token has expired.')
    if (iat !== undefined && iat > now + clockSkewS)
      throw unauthenticated('The user token\'s claim "iat" is in the future: set the clock of whoever signs it.')
    if (typeof sub !== 'string') throw unauthenticated('The user token\'s "sub" must be a text: the userId.')
    if (exp! - now > maxLifetimeS + clockSkewS) throw unauthenticated('The user token\'s "exp" is more than 24 hours away.')
    const problem = freeIdProblem(sub)
    if (problem !== null) throw unauthenticated(`The user token's "sub" ${problem}.`)
    return { workspaceId: parseKid(kid)!.workspaceId, scopes: [], userId: sub, via: 'user_token', keyId: kid }
  }
}

/** How long credentials hold. */
export interface Holds {
  /** When they end by themselves, milliseconds since 1970; null: never. */
  readonly until: number | null
  /** Whether their key has not been revoked, as of some seconds ago. */
  readonly stillStands: () => Promise<boolean>
}

function credentialOf({ headers }: Request): string {
  const credential = /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? '')?.[1]
  if (credential === undefined) throw unauthenticated('Authorization must be "Bearer" followed by an API key or a user token.')
  return credential
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

function kidOf(token: string): string {
  const { alg, kid } = headerOf(token)
  if (alg !== 'HS256') throw unauthenticated('A user token must be signed with HS256.')
  if (typeof kid !== 'string' || parseKid(kid) === null)
    throw unauthenticated('A user token names its signing key in the header "kid": <workspaceId>.<n>.')
  return kid
}

function headerOf(token: string): { alg?: unknown; kid?: unknown } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw unauthenticated('The credential is neither an API key (sk_…) nor a user token (JWT).')
  }
}

async function verified(token: string, key: KeyObject): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], requiredClaims: ['exp', 'sub'], clockTolerance: clockSkewS })
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw unauthenticated('The user token has expired.')
    if (error instanceof errors.JWTClaimValidationFailed)
      throw unauthenticated(`The user token's claim "${error.claim}" is missing or not valid.`)
    if (error instanceof errors.JOSEError) throw unauthenticated('The user token is not signed with the key that "kid" names.')
    throw error
  }
}

/** The user a server acts for. Header bytes are UTF-8 where they can be: node reads them as Latin-1. */
function onBehalfOf(request: Request): string | null {
  const raw = request.headers['on-behalf-of']
  if (typeof raw !== 'string') return null
  const userId = utf8Of(raw)
  const problem = freeIdProblem(userId)
  if (problem !== null) throw unreadable([{ path: '/On-Behalf-Of', message: problem }])
  return userId
}

function utf8Of(latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'))
  } catch {
    return latin1
  }
}
