// Receipts of push messages, told by the device that got them.
import type { Receipts } from './receipts'

const pathOf = (messageId: string): string => `/v1/push/${encodeURIComponent(messageId)}`

/** Receipts of push messages; the message's id is in its data as `stepcast_message_id`. */
export class Push {
  constructor(private readonly receipts: Receipts) {}

  /** Tells that the push reached the device. Resolves once that is kept for good; may be repeated. */
  delivered(messageId: string): Promise<void> {
    return this.receipts.send(`${pathOf(messageId)}/delivered`)
  }

  /** Tells that the push was tapped. */
  clicked(messageId: string): Promise<void> {
    return this.receipts.send(`${pathOf(messageId)}/clicked`)
  }
}
