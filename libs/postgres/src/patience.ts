// Waiting for a row that its last holder may never let go of: a process stopped inside its transaction keeps its locks.
import type { Pool, PoolClient } from 'pg'

// Measured: a process stopped while the server writes to it keeps its lock past every timeout the server knows.
const patienceMs = 3_000
// A holder that is at work is left alone: ending it would only repeat the work. No statement of ours that holds locks takes so long.
const statementAtMostMs = 30_000

/**
 * Runs a statement of `tx` that waits for a lock. Every 3 s whoever stands still with what is waited for is disconnected, which rolls its
 * transaction back: idle inside its transaction for 3 s, or not taking or sending anything for as long, or 30 s at one statement. The holder may
 * itself wait for another: then it is that one's turn.
 */
export async function withPatience<T>(pool: Pool, tx: PoolClient, work: () => Promise<T>): Promise<T> {
  const patience = setInterval(() => void terminateBlockers(pool, tx), patienceMs)
  try {
    return await work()
  } finally {
    clearInterval(patience)
  }
}

// Waiting for a client, in a statement, is what a session shows whose process was stopped while the server wrote to it. How long it has been
// waiting is not told: its statement's age bounds it from above, and a client at work takes its rows within milliseconds.
const terminateSql = `
WITH RECURSIVE blocker (pid) AS (
  SELECT unnest(pg_blocking_pids($1))
  UNION
  SELECT deeper FROM blocker, unnest(pg_blocking_pids(blocker.pid)) AS deeper
)
SELECT pg_terminate_backend(pid) FROM blocker JOIN pg_stat_activity USING (pid)
WHERE CASE
  WHEN state LIKE 'idle in transaction%' THEN state_change < clock_timestamp() - $2 * interval '1 millisecond'
  WHEN wait_event_type = 'Client' THEN query_start < clock_timestamp() - $2 * interval '1 millisecond'
  WHEN wait_event_type = 'Lock' THEN false
  ELSE query_start < clock_timestamp() - $3 * interval '1 millisecond'
END`

async function terminateBlockers(pool: Pool, tx: PoolClient): Promise<void> {
  const { processID } = tx as unknown as { processID: number }
  await pool.query(terminateSql, [processID, patienceMs, statementAtMostMs]).catch(() => {
    // The waiter's own statement tells if it did not help; it is repeated by its caller.
  })
}
