// Tells people-svc that a token is dead.
import type { KeyObject } from 'node:crypto'
import { request } from 'undici'
import type { DeadAddressRemover } from '@stepcast/channel'
import { contextHeader, contextKey, signContext } from '@stepcast/service'

const timeoutMs = 10_000

/**
 * Removes a token by `POST /internal/devices/remove-token` of people-svc, which keeps a device that has another token by now or
 * was registered again after `deadSince`. 404 is as good: user or device are gone. Anything else rejects and is tried again.
 */
export function tokenRemover(peopleSvcUrl: string, internalSecret: string): DeadAddressRemover {
  const key: KeyObject = contextKey(internalSecret)
  return async ({ workspaceId, userId, target, address, deadSince }) => {
    const context = await signContext(key, { workspaceId, scopes: ['internal', 'admin'], userId: null, via: 'root', keyId: null })
    const { statusCode, body } = await request(`${peopleSvcUrl}/internal/devices/remove-token`, {
      method: 'POST',
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      headers: { 'content-type': 'application/json', [contextHeader]: context },
      body: JSON.stringify({ workspaceId, userId, deviceId: target, token: address, deadSince }),
    })
    await body.dump()
    if (statusCode >= 300 && statusCode !== 404) throw new Error(`people-svc answered ${statusCode}`)
  }
}
