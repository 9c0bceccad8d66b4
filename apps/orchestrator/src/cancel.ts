// Cancelling: recorded before fan-out, answered when no turn that had not seen it can still commit (rule 15).
import type { Pool } from 'pg'
import { freeIdProblem, isSequenceId, partitionOf, workspaceIdPattern, type CancelRequested } from '@stepcast/contracts'
import { inTransaction } from '@stepcast/postgres'
import { recordCancel } from './sql/cancels'
import { lockCursor } from './sql/cursor'

/** What a cancel needs. */
export interface CancelOptions {
  readonly pool: Pool
  /** P. */
  readonly partitions: number
}

/** What is wrong with a cancel; null: nothing. */
export function cancelProblem({ workspaceId, cancelId, scope, id }: Pick<CancelRequested, 'workspaceId' | 'cancelId' | 'scope' | 'id'>): string | null {
  if (!workspaceIdPattern.test(workspaceId)) return `workspaceId must match ${workspaceIdPattern.source}`
  if (freeIdProblem(cancelId)) return `cancelId ${freeIdProblem(cancelId)}`
  if (scope === 'sequence') return isSequenceId(id) ? null : 'id must be a sequenceId'
  return freeIdProblem(id) ? `id ${freeIdProblem(id)}` : null
}

/**
 * Records a cancel. When this answers, no step of what it covers is commanded any more, by any process: the tombstone is
 * committed, and every cursor concerned was free once since, so every turn that had not seen it has ended. Sequences
 * already running are ended by the jobs left here. A known cancelId answers likewise.
 */
export async function cancel({ pool, partitions }: CancelOptions, request: CancelRequested): Promise<void> {
  const concerned = request.scope === 'sequence' ? [partitionOf(request.id, partitions)] : Array.from({ length: partitions }, (_, partition) => partition)
  await inTransaction(pool, (tx) => recordCancel(tx, request, concerned))
  for (const partition of concerned) await inTransaction(pool, (tx) => lockCursor(pool, tx, partition))
}
