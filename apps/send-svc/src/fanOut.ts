// Takes stored sends to Kafka, a batch at a time from a stored position: a crash repeats records of the same identity, and loses none.
import { isOutage, LastResort, sequenceIdOf, topics, type SendRequested } from '@stepcast/contracts'
import type { RecordProducer } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { Log } from '@stepcast/service'
import { resolveVariables, type Variable, type Variables } from '@stepcast/template'
import type { Pool, PoolClient } from 'pg'

/** What the fan-out is made of. */
export interface FanOutOptions {
  readonly pool: Pool
  /** Connected at first use, so that the service starts while Kafka is away. */
  readonly producer: () => Promise<Pick<RecordProducer, 'send'>>
  /** Keeps a receiver whose record cannot be written, however often it is tried: on the dead letters. */
  readonly setAside: (one: { topic: string; key: string; value: unknown; traceparent: string | null; error: unknown }) => Promise<void>
  readonly log: Pick<Log, 'warn'>
}

/** Which send a lane takes next. */
type Lane = 'newest' | 'longestWaiting'

// Two lanes begin new sends at once, so that a receipt for one person never waits behind a campaign; two go round the rest, so that
// big sends go on however many small ones come. Four connections of the pool's ten.
const lanes: readonly Lane[] = ['newest', 'newest', 'longestWaiting', 'longestWaiting']
// With short variables one request to Kafka (a chunk of the producer is 512 kB); 64 MB with variables at their limit.
const batchSize = 1_000
// Writers kick; this only finds what a process that died left behind.
const sweepEveryMs = 5_000
const retryAfterMs = 500
/** Where receivers fail by their own fault: soon, since it takes some tries to find which. */
const tryAgainMs = 100
const maxTroubles = 1_000

interface ClaimedSend {
  readonly number: number
  readonly workspaceId: string
  readonly sendId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly variableSchema: readonly Variable[]
  readonly variables: string
  readonly tag: string | null
  readonly source: SendRequested['source']
  readonly requestedAt: Date
  readonly traceparent: string | null
  readonly position: number
}

interface Receiver {
  readonly user_id: string
  readonly variables: string
}

/** A send some of whose receivers fail by their own fault. */
interface Trouble {
  readonly resort: LastResort
  /** Why the next receiver goes aside; null: it is tried. */
  aside: unknown
}

/** Publishes one `SendRequested` per receiver. */
export class FanOut {
  private readonly troubles = new Map<number, Trouble>()
  private readonly running = new Map<number, Promise<void>>()
  private sweep: NodeJS.Timeout | null = null
  private kicks = 0
  private stopped = false

  constructor(private readonly options: FanOutOptions) {}

  /** Begins, also with what an earlier process left. */
  start(): void {
    this.sweep = setInterval(() => this.kick(), sweepEveryMs)
    this.kick()
  }

  /** Lets the batches at hand finish and stops. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.sweep) clearInterval(this.sweep)
    await Promise.all(this.running.values())
  }

  /** There is something to publish: call it after a commit. */
  kick(): void {
    this.kicks++
    lanes.forEach((lane, i) => {
      if (this.stopped || this.running.has(i)) return
      this.running.set(
        i,
        this.run(lane).finally(() => this.running.delete(i)),
      )
    })
  }

  private async run(lane: Lane): Promise<void> {
    while (!this.stopped) {
      const kicksBefore = this.kicks
      try {
        // Nothing left, unless someone stored a send while we looked.
        if (!(await this.publishBatch(lane)) && kicksBefore === this.kicks) return
      } catch (error) {
        this.options.log.warn({ err: error }, 'sends wait to be fanned out')
        await new Promise((resolve) => setTimeout(resolve, isOutage(error) ? retryAfterMs : tryAgainMs))
      }
    }
  }

  /** One batch of one send; false when there was none to take. The row lock keeps others off the send until the position is stored. */
  private async publishBatch(lane: Lane): Promise<boolean> {
    const { pool } = this.options
    let claimed: ClaimedSend | null = null
    let taken = 0
    try {
      const done = await inTransaction(pool, async (tx) => {
        claimed = await claim(tx, lane)
        if (claimed === null) return false
        await this.publish(tx, claimed, (receivers) => (taken = receivers))
        return true
      })
      if (claimed !== null) this.published(claimed, taken)
      return done
    } catch (error) {
      if (claimed !== null) await this.failed(claimed, taken, error)
      throw error
    }
  }

  private async publish(tx: PoolClient, send: ClaimedSend, took: (receivers: number) => void): Promise<void> {
    const trouble = this.troubles.get(send.number)
    const next = send.position + Math.min(batchSize, trouble?.resort.most() ?? batchSize)
    // What is published is not kept: variables are personal data. The lower bound spares a walk over what earlier batches deleted.
    const { rows } = await tx.query<Receiver>(
      'DELETE FROM receivers WHERE send_number = $1 AND position >= $2 AND position < $3 RETURNING user_id, variables',
      [send.number, send.position, next],
    )
    took(rows.length)
    if (trouble?.aside) await this.setAside(send, rows, trouble.aside)
    else await this.write(send, rows)
    // failpoint: after-fan-out
    await tx.query(
      `UPDATE sends SET position = least(recipients, $2), served_at = clock_timestamp(),
              variables = CASE WHEN $2 < recipients THEN variables ELSE '{}' END
       WHERE number = $1`,
      [send.number, next],
    )
  }

  private async write(send: ClaimedSend, receivers: readonly Receiver[]): Promise<void> {
    const producer = await this.options.producer()
    const headers = send.traceparent === null ? {} : { headers: { traceparent: send.traceparent } }
    const sendVariables = JSON.parse(send.variables) as Variables
    await producer.send(
      topics.sends,
      receivers.map(({ user_id: userId, variables }) => ({
        key: sequenceIdOf(send.workspaceId, send.sendId, userId),
        value: requestFor(send, sendVariables, userId, JSON.parse(variables) as Variables),
        ...headers,
      })),
    )
  }

  private async setAside(
    { workspaceId, sendId, templateId, templateVersion, traceparent }: ClaimedSend,
    receivers: readonly Receiver[],
    error: unknown,
  ): Promise<void> {
    for (const { user_id: userId, variables } of receivers) {
      const value = { workspaceId, sendId, userId, templateId, templateVersion, variables }
      await this.options.setAside({ topic: topics.sends.name, key: sequenceIdOf(workspaceId, sendId, userId), value, traceparent, error })
    }
  }

  private published({ number }: ClaimedSend, receivers: number): void {
    const trouble = this.troubles.get(number)
    if (trouble === undefined) return
    if (trouble.aside) trouble.resort.wentAside()
    else trouble.resort.succeeded(receivers)
    trouble.aside = null
    if (trouble.resort.most() === Infinity) this.troubles.delete(number)
  }

  private async failed({ number }: ClaimedSend, receivers: number, error: unknown): Promise<void> {
    if (!isOutage(error)) {
      const trouble = this.troubles.get(number) ?? { resort: new LastResort(), aside: null }
      this.troubles.set(number, trouble)
      // Sends that ended in trouble are not told apart: the oldest begins anew if it is still there.
      if (this.troubles.size > maxTroubles) this.troubles.delete(this.troubles.keys().next().value!)
      if (trouble.resort.failed(error, receivers, Date.now()).next === 'setAside') trouble.aside = error
    }
    // To the end of the queue, so that one send that fails again and again does not stand before all others.
    await this.options.pool.query('UPDATE sends SET served_at = clock_timestamp() WHERE number = $1', [number])
  }
}

async function claim(tx: PoolClient, lane: Lane): Promise<ClaimedSend | null> {
  const { rows } = await tx.query<ClaimedSend>(
    `SELECT number, workspace_id AS "workspaceId", send_id AS "sendId", template_id AS "templateId", template_version AS "templateVersion",
            variable_schema AS "variableSchema", variables, tag, source, requested_at AS "requestedAt", traceparent, position
     FROM sends WHERE position < recipients ${lane === 'newest' ? '' : `AND served_at > '-infinity'`}
     ORDER BY served_at, number LIMIT 1 FOR UPDATE SKIP LOCKED`,
  )
  return rows[0] ?? null
}

/** What the person resolves to: per-user, send, default. Nobody downstream needs the three to tell apart. */
const requestFor = (send: ClaimedSend, sendVariables: Variables, userId: string, userVariables: Variables): SendRequested => ({
  workspaceId: send.workspaceId,
  sendId: send.sendId,
  userId,
  templateId: send.templateId,
  templateVersion: send.templateVersion,
  campaignId: null,
  variables: resolveVariables(send.variableSchema, sendVariables, userVariables).variables,
  tag: send.tag,
  source: send.source,
  requestedAt: send.requestedAt.getTime(),
})
