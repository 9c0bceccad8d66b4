// Whom a message went to: asked by receipts before they are believed.
import type { Pool } from 'pg'

/** Whether the message was for this workspace's user and was attempted: what was never sent cannot have arrived. */
export async function wasSentTo(pool: Pool, workspaceId: string, userId: string, messageId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `SELECT FROM messages WHERE message_id = $1 AND workspace_id = $2 AND user_id = $3
     AND EXISTS (SELECT FROM ledger WHERE ledger.message_id = messages.message_id AND attempts > 0)`,
    [messageId, workspaceId, userId],
  )
  return rowCount === 1
}
