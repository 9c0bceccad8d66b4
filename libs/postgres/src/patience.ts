// Waiting for a row that its last holder may never let go of: a process stopped inside its transaction keeps its locks.
import type { Pool, PoolClient } from 'pg'

// Measured: a process stopped while the server writes to it keeps its lock past every timeout the server knows.
const patienceMs = 3_000

/**
 * Runs a statement of `tx` that waits for a lock. Every 3 s whoever holds the lock is disconnected, which rolls its transaction
 * back; a holder that was at work after all finds its connection gone and begins again.
 */
export async function withPatience<T>(pool: Pool, tx: PoolClient, work: () => Promise<T>): Promise<T> {
  const patience = setInterval(() => void terminateBlockers(pool, tx), patienceMs)
  try {
    return await work()
  } finally {
    clearInterval(patience)
  }
}

async function terminateBlockers(pool: Pool, tx: PoolClient): Promise<void> {
  const { processID } = tx as unknown as { processID: number }
  await pool.query('SELECT pg_terminate_backend(blocker) FROM unnest(pg_blocking_pids($1)) AS blocker', [processID]).catch(() => {
    // The waiter's own statement tells if it did not help; it is repeated by its caller.
  })
}
