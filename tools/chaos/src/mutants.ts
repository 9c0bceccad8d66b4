// Builds with one thing broken on purpose, each with the faults that bring it to light soonest: what the checker must catch.
import { killedAt, outage, postgresStopped, stopped, stoppedThenKilledAt, type Fault } from './faults'
import type { Edit } from './testBuild'

/** A broken build. */
export interface Mutant {
  readonly name: string
  /** What is broken, in a sentence. */
  readonly what: string
  readonly edits: readonly Edit[]
  /** Struck one after another, again and again, until it is caught. */
  readonly faults: readonly Fault[]
}

const turn = 'apps/orchestrator/src/turn.ts'
const cancellations = 'apps/orchestrator/src/cancellations.ts'
const partition = 'apps/orchestrator/src/partition.ts'
const rules = 'libs/contracts/src/rules.ts'
const lastResort = 'libs/contracts/src/lastResort.ts'
const lane = 'libs/channel/src/lane.ts'
const handOver = 'libs/channel/src/handOver.ts'

const always = (): number => 1

/** The eight of the reliability plan, and two of what may stand on a topic. */
export const mutants: readonly Mutant[] = [
  {
    name: 'no-cursor-check',
    what: 'a turn does not look whether the partition has another owner, or a position it does not know',
    edits: [
      {
        file: turn,
        text: 'if (cursor === null || cursor.ownerEpoch !== expected.ownerEpoch) throw',
        instead: 'if (cursor === null) throw',
      },
      { file: turn, text: 'if (cursor.logPosition !== expected.logPosition)', instead: 'if (cursor.logPosition < 0)' },
    ],
    faults: [stoppedThenKilledAt('before-publish')],
  },
  {
    name: 'publish-before-commit',
    what: 'changes and commands are on Kafka before their transaction is committed',
    edits: [
      {
        file: turn,
        text: `import type { Pool, PoolClient } from 'pg'`,
        instead: `import type { Pool, PoolClient } from 'pg'\nimport { publishChanges } from './publish'`,
      },
      {
        file: turn,
        text: '    return turn.run(cursor)\n',
        instead: `    const result = await turn.run(cursor)
    await publishChanges(options, partition, result.changes)
    return result
`,
      },
    ],
    faults: [killedAt('orchestrator', 'before-commit', always)],
  },
  {
    name: 'offset-before-commit',
    what: 'the offsets of a turn are stored in a transaction of their own, before its changes',
    edits: [
      {
        file: turn,
        text: '  return inTransaction(options.pool, async (tx) => {\n    const cursor = await lockCursor',
        instead: `  await options.pool.query(
    \`UPDATE cursors SET sends_offset = greatest(sends_offset, $2), engagements_offset = greatest(engagements_offset, $3)
     WHERE partition = $1 AND owner_epoch = $4\`,
    [partition, inputs.sendsOffset, inputs.engagementsOffset, expected.ownerEpoch])
  return inTransaction(options.pool, async (tx) => {\n    const cursor = await lockCursor`,
      },
      { file: turn, text: 'export function takeTurn(', instead: 'export async function takeTurn(' },
      { file: turn, text: 'record.offset >= cursor.sendsOffset', instead: 'record.offset >= 0' },
      { file: turn, text: 'record.offset >= cursor.engagementsOffset', instead: 'record.offset >= 0' },
    ],
    faults: [killedAt('orchestrator', 'before-commit', always)],
  },
  {
    name: 'stale-cache-kept',
    what: 'what a process remembers of its sequences outlives the loss of the partition',
    edits: [
      { file: partition, text: '  private forgetAll(): void {\n    this.cache.clear()\n', instead: '  private forgetAll(): void {\n' },
    ],
    faults: [stopped(null)],
  },
  {
    name: 'timer-deleted-before-firing',
    what: 'due timers are deleted first and put to their sequences afterwards',
    edits: [
      {
        file: turn,
        text: 'await dueTimers(tx, this.partition, inputs.fireUpTo, inputs.most.timers, inputs.fireFrom)',
        instead: `await this.options.pool.query<TimerRow>(
      'DELETE FROM timers WHERE partition = $1 AND due_at <= $2 RETURNING sequence_id AS "sequenceId", due_at AS "dueAt"',
      [this.partition, inputs.fireUpTo]).then(({ rows }) => rows)`,
      },
    ],
    faults: [killedAt('orchestrator', 'timer-taken', always)],
  },
  {
    name: 'ledger-after-the-call',
    what: 'that a target is being attempted is committed after the provider was called',
    edits: [
      {
        file: lane,
        text: `      const begun = await begin(
        this.options.pool,
        ready.map((one) => one.claimed),
        this.options.leaseMs,
      )
`,
        instead: '      const begun = new Set(ready.map((one) => targetKey(one.claimed)))\n',
      },
      {
        file: lane,
        text: 'provider.send(message, permit))\n    // failpoint: after-provider-call\n',
        instead: `provider.send(message, permit))
    // failpoint: after-provider-call
    await begin(this.options.pool, [claimed], leaseMs)
`,
      },
      {
        file: handOver,
        text: '      const isNew = await this.options.store(messages, attempting)\n',
        instead: `      for (const [lane, ones] of ready) lane.send(ones, leaseFrom)
      await sleep(100)
      const isNew = await this.options.store(messages, attempting)
`,
      },
      { file: handOver, text: 'ones.filter(({ claimed }) => isNew.has(claimed.messageId)),', instead: 'ones.slice(0, 0),' },
    ],
    faults: [killedAt('push-dispatcher', 'after-provider-call', always)],
  },
  {
    name: 'no-receipts-first',
    what: 'timers fire without waiting for the engagements that were on the topic before',
    edits: [
      {
        file: 'apps/orchestrator/src/receiptsBarrier.ts',
        text: 'if (engagementsOffset >= endOffset) return',
        instead: 'if (engagementsOffset >= 0 || endOffset >= 0) return',
      },
    ],
    faults: [outage('orchestrator', 3_000)],
  },
  {
    name: 'mailbox-chunk-dropped-on-rollback',
    what: 'records leave the mailbox before the commit that covers them, and are not read again after a rollback',
    edits: [
      {
        file: partition,
        text: '    const startedAt = performance.now()\n',
        instead: `    mailboxes.done(this.partition, sends, sendsOffset)
    mailboxes.done(this.partition, engagements, engagementsOffset)
    const startedAt = performance.now()
`,
      },
      { file: partition, text: '    this.options.mailboxes().reset(this.partition, offsets)\n', instead: '    void offsets\n' },
    ],
    faults: [postgresStopped(3)],
  },
  {
    name: 'no-last-resort',
    what: 'input that fails for its own sake is tried for ever; and NUL in variables is not refused at the edge, so that some does',
    edits: [
      {
        file: rules,
        text: "    if (problem) return { reason: 'invalid_send', detail: `variables ${problem}` }\n",
        instead: '    void problem\n',
      },
      {
        file: lastResort,
        text: 'const isEnough = this.failures >= triesOfAll || (this.failures > 1 && now - this.failingSince >= giveUpAfterMs)',
        instead: 'const isEnough = false',
      },
    ],
    faults: [outage('orchestrator')],
  },
  {
    name: 'producers-clock-decides',
    what: 'whether a cancel of a person covers what runs is judged by the clock of its producer',
    edits: [
      { file: turn, text: 'startedAt: this.now,', instead: 'startedAt: send.requestedAt,' },
      {
        file: turn,
        text: "if (draft?.state.status === 'running') putTo",
        instead: "if (draft?.state.status === 'running' && isCancelled(draft.head, draft.startedAt, tombstones)) putTo",
      },
      { file: cancellations, text: 'if (tombstone.sendsEnds === null) return send', instead: 'return send' },
    ],
    faults: [killedAt('orchestrator', 'after-commit', always)],
  },
]
