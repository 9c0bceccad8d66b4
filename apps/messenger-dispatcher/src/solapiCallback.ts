// Solapi's webhook of single messages (SINGLE-REPORT): a JSON array of message records, tried five times until it is answered 200.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { CallbackRequest, ProviderStatus } from '@stepcast/channel'
import { z } from 'zod'
import { isUnsubscribed, reasonOfStatus } from './solapiOutcome'

const report = z.object({
  messageId: z.string().nullish(),
  statusCode: z.string(),
  customFields: z.record(z.string(), z.unknown()).nullish(),
})

// 2000: registered; 3000: handed to the carrier. Neither good nor bad yet.
const underWay = new Set(['2000', '3000'])
const deliveredCode = '4000'

/**
 * What a call says; null: it does not know the webhook's secret. Solapi sends the secret's SHA-1 in `X-Solapi-Secret` and signs nothing:
 * whoever reads one call can make others, so the public address must be https. Reports of messages that are not ours are left out.
 */
export function readSolapiCallback({ headers, body }: CallbackRequest, webhookSecret: string): ProviderStatus[] | null {
  const expected = createHash('sha1').update(webhookSecret).digest('hex')
  const given = headers['x-solapi-secret']
  if (typeof given !== 'string' || !isSame(given.toLowerCase(), expected)) return null
  return reportsIn(body).flatMap((one): ProviderStatus[] => {
    const { success, data } = report.safeParse(one)
    const messageId = data?.customFields?.messageId
    if (!success || typeof messageId !== 'string') return []
    const code = data.statusCode
    const status = code === deliveredCode ? 'delivered' : underWay.has(code) ? null : isUnsubscribed(code) ? 'skipped' : 'failed'
    const isOver = status === 'failed' || status === 'skipped'
    return [{ messageId, providerMessageId: data.messageId ?? null, status, reason: isOver ? reasonOfStatus(code) : null }]
  })
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function reportsIn(body: Buffer): readonly unknown[] {
  try {
    const reports: unknown = JSON.parse(body.toString('utf8'))
    return Array.isArray(reports) ? reports : []
  } catch {
    return []
  }
}
