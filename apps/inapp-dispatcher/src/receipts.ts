// A user's receipts: reported to Kafka first, noted in the feed after, so that an answer of success never loses one.
import type { Pool } from 'pg'
import { parseMessageId, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import type { UserName } from '@stepcast/replica'
import { notFound, refused, unavailable } from '@stepcast/service'
import { findItem, noteReceipt, type FeedItem, type Receipt } from './feed'

/** A receipt as it was sent. */
export interface ReceiptSent {
  readonly messageId: string
  readonly receipt: Receipt
  /** Only of `clicked`. */
  readonly buttonId?: string
  /** `client`: the user's own token; `server`: a key on the user's behalf. */
  readonly source: 'client' | 'server'
}

// Kafka takes a few milliseconds; whoever waits longer is told to try again.
const kafkaWithinMs = 5_000

const notedAt: Readonly<Record<Receipt, 'deliveredAt' | 'viewedAt' | 'clickedAt'>> = {
  delivered: 'deliveredAt',
  viewed: 'viewedAt',
  clicked: 'clickedAt',
}

/**
 * Takes a receipt; answers once Kafka has it. Repeats change nothing: the first of each kind counts. A crash between Kafka and the
 * note lets a repeat report again, and the reader counts one per message and kind. Hidden items take receipts as well: what
 * happened, happened.
 * Throws problems: 404 (not this user's item), 422 (no such button), 503 (Kafka does not answer; nothing is noted).
 */
export async function takeReceipt(connection: KafkaConnection, pool: Pool, user: UserName, sent: ReceiptSent): Promise<void> {
  const { messageId, receipt, buttonId } = sent
  const item = await findItem(pool, user, messageId)
  if (!item) throw notFound(`There is no message ${messageId} in this user's feed.`)
  if (buttonId !== undefined) checkButton(item, buttonId)
  if (item[notedAt[receipt]] !== null) return

  const at = item.now
  await withinTime(report(connection, user.workspaceId, sent, at))
  await noteReceipt(pool, user, messageId, receipt, at)
}

function checkButton({ content }: FeedItem, buttonId: string): void {
  const ids = content.buttons.map(({ id }) => id)
  if (ids.includes(buttonId)) return
  const known = ids.map((id) => JSON.stringify(id)).join(', ')
  const allowed = ids.length === 0 ? 'must be absent: this message has no buttons' : `must be one of ${known}`
  throw refused([{ path: '/buttonId', message: `${allowed}, not ${JSON.stringify(buttonId)}` }])
}

async function report(connection: KafkaConnection, workspaceId: string, sent: ReceiptSent, at: Date): Promise<void> {
  const { messageId, receipt, buttonId, source } = sent
  const producer = await connection.producer()
  await producer.send(topics.engagements, [
    {
      key: parseMessageId(messageId)!.sequenceId,
      value: {
        workspaceId,
        messageId,
        kind: receipt,
        occurredAt: at.getTime(),
        source,
        reason: null,
        providerMessageId: null,
        detail: buttonId === undefined ? {} : { buttonId },
      },
    },
  ])
}

async function withinTime(reported: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unavailable('Kafka does not answer, so the receipt is not taken: send it again.')), kafkaWithinMs)
  })
  await Promise.race([reported, late]).finally(() => clearTimeout(timer))
}
