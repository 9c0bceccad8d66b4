// Answers of commands as rows: read, and stored in batches.
import type { Pool, PoolClient } from 'pg'
import type { DispatchStep } from '@stepcast/contracts'
import type { Answer } from './answer'
import { announce } from './announce'

/** An answer as it is reported. */
export interface Answered {
  readonly messageId: string
  readonly workspaceId: string
  readonly answer: Answer['answer']
  readonly reason: string | null
  /** When it was given, milliseconds since the epoch. */
  readonly at: number
}

/** The answers that some of these messages already have. */
export async function findAnswers(db: Pool | PoolClient, messageIds: readonly string[]): Promise<Map<string, Answered>> {
  const { rows } = await db.query<Omit<Answered, 'at'> & { created_at: Date }>(
    `SELECT message_id AS "messageId", workspace_id AS "workspaceId", answer, reason, created_at FROM messages
     WHERE message_id = ANY($1::text[])`,
    [messageIds],
  )
  return new Map(rows.map(({ created_at: at, ...row }) => [row.messageId, { ...row, at: at.getTime() }]))
}

/** Stores answers given at one moment and announces new items; a message that has an answer keeps it. */
export async function storeAnswers(
  tx: PoolClient,
  answers: readonly { command: DispatchStep; answer: Answer }[],
  at: number,
): Promise<void> {
  const { rows } = await tx.query<{ message_id: string; workspace_id: string; user_id: string; answer: string }>(
    `INSERT INTO messages
       (message_id, workspace_id, user_id, template_id, answer, reason, commanded_at, category, content, expires_at, created_at, updated_at)
     SELECT *, $11::timestamptz, $11::timestamptz
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::jsonb[],
       $10::timestamptz[])
     ON CONFLICT (message_id) DO NOTHING
     RETURNING message_id, workspace_id, user_id, answer`,
    [
      answers.map(({ command }) => command.messageId),
      answers.map(({ command }) => command.workspaceId),
      // Whoever gets no item is not named: nobody asks for it, and an erasure may have gone by.
      answers.map(({ command, answer }) => (answer.answer === 'requested' ? command.userId : null)),
      answers.map(({ command }) => command.templateId),
      answers.map(({ answer }) => answer.answer),
      answers.map(({ answer }) => (answer.answer === 'requested' ? null : answer.reason)),
      answers.map(({ command }) => new Date(command.commandedAt).toISOString()),
      answers.map(({ answer }) => (answer.answer === 'requested' ? answer.category : null)),
      answers.map(({ answer }) => (answer.answer === 'requested' ? JSON.stringify(answer.content) : null)),
      answers.map(({ answer }) => (answer.answer === 'requested' && answer.expiresAt ? new Date(answer.expiresAt).toISOString() : null)),
      new Date(at).toISOString(),
    ],
  )
  await announce(
    tx,
    rows
      .filter(({ answer }) => answer === 'requested')
      .map((row) => ({
        messageId: row.message_id,
        workspaceId: row.workspace_id,
        userId: row.user_id,
      })),
  )
}
