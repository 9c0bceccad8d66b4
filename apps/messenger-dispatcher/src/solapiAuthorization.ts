// Solapi's HMAC-SHA256 authorization: https://developers.solapi.com (API Key), as solapi-nodejs makes it (src/lib/authenticator.ts).
import { createHmac, randomBytes } from 'node:crypto'
import type { SolapiAccount } from '@stepcast/accounts'

/**
 * The header of one request. Solapi refuses a date more than 15 minutes off (RequestTimeTooSkewed) and a signature it has seen within 15
 * minutes (DuplicatedSignature), hence a salt for each.
 * @param salt 12 to 64 characters
 */
export function solapiAuthorization(
  { apiKey, apiSecret }: Pick<SolapiAccount, 'apiKey' | 'apiSecret'>,
  nowMs: number,
  salt: string = randomBytes(16).toString('hex'),
): string {
  const date = new Date(nowMs).toISOString()
  const signature = createHmac('sha256', apiSecret)
    .update(date + salt)
    .digest('hex')
  return `HMAC-SHA256 apiKey=${apiKey}, date=${date}, salt=${salt}, signature=${signature}`
}
