// Whose message it is: asked by receipts before they are believed.
import type { Pool } from 'pg'

/** Whether this workspace's user is the one the message was for. */
export async function isMessageOf(pool: Pool, workspaceId: string, userId: string, messageId: string): Promise<boolean> {
  const { rowCount } = await pool.query('SELECT FROM messages WHERE message_id = $1 AND workspace_id = $2 AND user_id = $3', [
    messageId,
    workspaceId,
    userId,
  ])
  return rowCount === 1
}
