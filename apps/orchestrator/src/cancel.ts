// Cancelling: recorded before fan-out, answered when no step of what it covers is commanded any more (rule 15).
import type { Pool } from 'pg'
import { partitionOf, topics, type CancelRequested } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import { Problem, unavailable } from '@stepcast/service'
import { jobsNotBegun, recordCancel } from './sql/cancels'
import { lockCursor, sendsOffsets } from './sql/cursor'
import { isSeen, markSeen, markUnseen, unseenOf } from './sql/unseen'

/** What a cancel needs. */
export interface CancelOptions {
  readonly pool: Pool
  readonly connection: Pick<KafkaConnection, 'endOffsets' | 'endOffsetsInTime'>
  /** P. */
  readonly partitions: number
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
export async function takeUp(
  { pool, connection, partitions, jobsWait }: CancelOptions,
  request: CancelRequested,
): Promise<readonly number[]> {
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const concerned = request.scope === 'sequence' ? [partitionOf(request.id, partitions)] : all
  // A person may come back: what was there by now is covered, what comes later is not. The other scopes cover whatever bears their name.
  const ends = request.scope === 'user' ? await connection.endOffsets(topics.sends.name) : null
  await inTransaction(pool, (tx) => recordCancel(tx, request, concerned, ends && all.map((partition) => ends.get(partition) ?? 0)))
  jobsWait()
  return concerned
}

// What nobody knows yet is waited for this long: by then send-svc has published what it had taken, as a rule.
const unseenPatienceMs = 2_000
const lookAgainMs = 50
/** Tombstones of a workspace for ids that nobody has seen: each stays for a day. */
const maxUnseen = 10_000

/**
 * Cancels. When this answers, no step of what it covers is commanded any more, by any process, and no command of it appears
 * on a topic for the first time: every cursor concerned was free once since the tombstone was committed, so every turn that
 * had not seen it has ended; and its job has begun everywhere, which it does only when every earlier turn is published.
 * Answers whether there is such a send or sequence, `known` if the caller has it; what nobody knows is looked for once more when every
 * partition has read what was on the topic by now. Campaigns and users are always known: nobody asks.
 * @throws Problem 503 when a partition does not get so far within 40 s, with Kafka away for instance; the cancel stays recorded.
 * @throws Problem 429 when the workspace has cancelled 10,000 ids within a day that nobody has seen; nothing is recorded then.
 */
export async function cancel(options: CancelOptions, request: CancelRequested, known = false): Promise<boolean> {
  const { pool } = options
  const deadline = Date.now() + patienceMs
  const seen = known || (await isSeen(pool, request))
  if (!seen && (await unseenOf(pool, request.workspaceId, maxUnseen)) >= maxUnseen) throw tooMany()
  const concerned = await takeUp(options, request)
  if (!seen) await markUnseen(pool, request)
  for (const partition of concerned) await inTransaction(pool, (tx) => lockCursor(pool, tx, partition))
  while (await jobsNotBegun(pool, request, concerned)) {
    if (Date.now() > deadline) {
      throw unavailable('The cancel is recorded and nothing new is commanded; what was commanded before is not published yet: ask again.')
    }
    await sleep(pollMs)
  }
  if (seen || !(await appears(options, request))) return seen
  await markSeen(pool, request)
  return true
}

/**
 * Whether something that nobody knew comes to be known: when every partition has read to the end of the sends as they are now, and once more,
 * because a record written to another partition was written to its own meanwhile. A sequence is given the whole time: its send may be one that
 * send-svc has taken and not published.
 */
async function appears({ pool, connection, partitions }: CancelOptions, request: CancelRequested): Promise<boolean> {
  const deadline = Date.now() + unseenPatienceMs
  for (let round = 0; round < 2 || request.scope === 'sequence'; round++) {
    const ends = await connection.endOffsetsInTime(topics.sends.name)
    for (;;) {
      // Read before the question: whatever was read by then is found.
      const read = await sendsOffsets(pool)
      if (await isSeen(pool, request)) return true
      if (Date.now() > deadline) return false
      await sleep(lookAgainMs)
      const isBehind = (partition: number): boolean => (read.get(partition) ?? 0) < (ends.get(partition) ?? Infinity)
      if (!Array.from({ length: partitions }, (_, partition) => partition).some(isBehind)) break
    }
  }
  return false
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const tooMany = (): Problem =>
  new Problem({
    status: 429,
    headers: { 'retry-after': '3600' },
    detail: `This workspace has cancelled ${maxUnseen} sends and sequences within a day that do not exist: cancel those that do, or try again when a day has passed.`,
  })
