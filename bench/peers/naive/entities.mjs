// The tables of the naive service: what a team writes down on the first day, with the indexes it needs.
import { EntitySchema } from 'typeorm'

const bigId = { type: 'bigint', primary: true, generated: 'increment' }
const id = { type: 'varchar', primary: true }
const time = { type: 'timestamptz' }

/** Where each sequence stands. */
export const Sequence = new EntitySchema({
  name: 'Sequence', tableName: 'sequences',
  columns: { id, status: { type: 'varchar' }, step: { type: 'int' }, version: { type: 'int' }, updatedAt: time },
})

/** What happened to it, one row a fact. */
export const SequenceEvent = new EntitySchema({
  name: 'SequenceEvent', tableName: 'sequence_events',
  columns: {
    id: bigId, sequenceId: { type: 'varchar' }, version: { type: 'int' }, type: { type: 'varchar' }, payload: { type: 'jsonb' },
    occurredAt: time,
  },
  uniques: [{ columns: ['sequenceId', 'version'] }],
})

/** When its wait window is over. */
export const Timer = new EntitySchema({
  name: 'Timer', tableName: 'timers',
  columns: { sequenceId: id, step: { type: 'int' }, dueAt: time },
  indices: [{ columns: ['dueAt'] }],
})

/** Commands that are decided and not yet known to be on their topic. */
export const Outbox = new EntitySchema({
  name: 'Outbox', tableName: 'outbox',
  columns: { id: bigId, topic: { type: 'varchar' }, key: { type: 'varchar' }, value: { type: 'jsonb' } },
})
