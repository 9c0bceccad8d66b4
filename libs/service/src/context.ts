// Who is calling, carried from the gateway to a service as a short-lived signed token.
import { createSecretKey, type KeyObject } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'

/** Scopes of an API key. */
export const keyScopes = ['admin', 'send', 'read'] as const
/** One of {@link keyScopes}. */
export type KeyScope = (typeof keyScopes)[number]

/** Who is calling. */
export interface CallerContext {
  /** Empty for the root key, which belongs to no workspace. */
  readonly workspaceId: string
  /** Scopes of the API key; `internal` for a call of a service of ours; none for a user token. */
  readonly scopes: readonly (KeyScope | 'internal')[]
  /** The user of a user token, or the one a server acts for (`On-Behalf-Of`). */
  readonly userId: string | null
  readonly via: 'api_key' | 'user_token' | 'root'
  readonly keyId: string | null
}

/** The header that carries the signed context. The gateway removes what clients send under this name. */
export const contextHeader = 'x-stepcast-context'
// Long enough for a slow upload to begin, short enough to be worthless in a log.
const lifetimeS = 60
const issuer = 'stepcast'

/** The key of an internal secret (STEPCAST_INTERNAL_SECRET, 32 characters or more). */
export function contextKey(secret: string | undefined): KeyObject {
  if (secret === undefined || secret.length < 32)
    throw new Error('STEPCAST_INTERNAL_SECRET must have 32 characters or more, the same for every service')
  return createSecretKey(Buffer.from(secret))
}

/** Signs a context for the next 60 s: the value of {@link contextHeader} (JWT, HS256). */
export const signContext = (key: KeyObject, caller: CallerContext): Promise<string> =>
  new SignJWT({ ...caller })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(issuer)
    .setIssuedAt()
    .setExpirationTime(`${lifetimeS}s`)
    .sign(key)

/** Reads a signed context; null when it is expired, altered or signed by someone else. */
export async function verifyContext(key: KeyObject, token: string): Promise<CallerContext | null> {
  try {
    const { payload } = await jwtVerify<CallerContext>(token, key, { algorithms: ['HS256'], issuer, clockTolerance: 5 })
    const { workspaceId, scopes, userId, via, keyId } = payload
    return { workspaceId, scopes, userId, via, keyId }
  } catch (error) {
    if (error instanceof errors.JOSEError) return null
    throw error
  }
}
