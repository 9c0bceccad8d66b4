// Cancelling: recorded before fan-out, answered when no step of what it covers is commanded any more (rule 15).
import type { Pool } from 'pg'
import { partitionOf, type CancelRequested } from '@stepcast/contracts'
import { inTransaction } from '@stepcast/postgres'
import { unavailable } from '@stepcast/service'
import { jobsNotBegun, recordCancel } from './sql/cancels'
import { lockCursor } from './sql/cursor'

/** What a cancel needs. */
export interface CancelOptions {
  readonly pool: Pool
  /** P. */
  readonly partitions: number
  /** The end of each partition of the sends, asked after this call began. */
  readonly sendsEnds: () => Promise<ReadonlyMap<number, number>>
  /** Jobs wait: told to the engine of this process once it runs; the others find them within a second. */
  jobsWait: () => void
}

// A partition whose owner stands still is taken over after some 13 s (session timeout 10 s, join, 3 s for its lock); send-svc waits 60 s.
const patienceMs = 40_000
const pollMs = 20

/**
 * Records a cancel: from its commit on, turns put it before any other input. A known cancelId is ignored.
 * Answers the partitions concerned.
 */
export async function takeUp({ pool, partitions, sendsEnds, jobsWait }: CancelOptions, request: CancelRequested): Promise<readonly number[]> {
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const concerned = request.scope === 'sequence' ? [partitionOf(request.id, partitions)] : all
  // A person may come back: what was there by now is covered, what comes later is not. The other scopes cover whatever bears their name.
  const ends = request.scope === 'user' ? await sendsEnds() : null
  await inTransaction(pool, (tx) => recordCancel(tx, request, concerned, ends && all.map((partition) => ends.get(partition) ?? 0)))
  jobsWait()
  return concerned
}

/**
 * Cancels. When this answers, no step of what it covers is commanded any more, by any process, and no command of it appears
 * on a topic for the first time: every cursor concerned was free once since the tombstone was committed, so every turn that
 * had not seen it has ended; and its job has begun everywhere, which it does only when every earlier turn is published.
 * @throws Problem 503 when a partition does not get so far within 40 s, with Kafka away for instance; the cancel stays recorded.
 */
export async function cancel(options: CancelOptions, request: CancelRequested): Promise<void> {
  const { pool } = options
  const deadline = Date.now() + patienceMs
  const concerned = await takeUp(options, request)
  for (const partition of concerned) await inTransaction(pool, (tx) => lockCursor(pool, tx, partition))
  while (await jobsNotBegun(pool, request, concerned)) {
    if (Date.now() > deadline) {
      throw unavailable('The cancel is recorded and nothing new is commanded; what was commanded before is not published yet: ask again.')
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}
