// The naive service's rules: one message, one transaction, in which the sequence, its events, its timer and its commands change.
import { Outbox, Sequence, SequenceEvent, Timer } from './entities.mjs'

/** Decides sends, engagements and due timers in the database. */
export class Sequences {
  constructor(dataSource, topics) {
    this.dataSource = dataSource
    this.topics = topics
  }

  /** A send starts a sequence and commands its first step; the same send again does nothing. */
  start({ sequenceId, ...send }) {
    return this.dataSource.transaction(async (transaction) => {
      const state = { id: sequenceId, status: 'running', step: 1, version: 1, updatedAt: new Date() }
      const { raw } = await transaction.createQueryBuilder().insert().into(Sequence).values(state).orIgnore().returning('id').execute()
      if (raw.length === 0) return false
      await this.#record(transaction, sequenceId, 1, 'started', send)
      await this.#command(transaction, sequenceId, 1)
      return true
    })
  }

  /** `requested` starts the wait window, `viewed` ends the sequence; what comes twice or too late does nothing. */
  engage({ sequenceId, kind, waitMs, occurredAt }) {
    return this.dataSource.transaction(async (transaction) => {
      const sequence = await this.#locked(transaction, sequenceId)
      const wanted = kind === 'requested' ? 'running' : 'waiting'
      if (sequence?.status !== wanted) return false
      await this.#record(transaction, sequenceId, sequence.version + 1, kind, { occurredAt })
      if (kind === 'requested') {
        await transaction.insert(Timer, { sequenceId, step: 1, dueAt: new Date(occurredAt + waitMs) })
        await this.#update(transaction, sequence, { status: 'waiting' })
      } else {
        await transaction.delete(Timer, { sequenceId })
        await this.#update(transaction, sequence, { status: 'stopped' })
      }
      return true
    })
  }

  /** The sequences whose wait windows are over, the oldest first. */
  async due(limit) {
    const timers = await this.dataSource.getRepository(Timer).createQueryBuilder('timer')
      .where('timer.dueAt <= :now', { now: new Date() }).orderBy('timer.dueAt').limit(limit).getMany()
    return timers.map(({ sequenceId, dueAt }) => ({ sequenceId, dueAt }))
  }

  /** A wait window is over: the second step is commanded, unless an engagement was faster. */
  timeOut(sequenceId) {
    return this.dataSource.transaction(async (transaction) => {
      const sequence = await this.#locked(transaction, sequenceId)
      if (sequence?.status !== 'waiting') return false
      await transaction.delete(Timer, { sequenceId })
      await this.#record(transaction, sequenceId, sequence.version + 1, 'waitElapsed', {})
      await this.#update(transaction, sequence, { status: 'exhausted', step: 2 })
      await this.#command(transaction, sequenceId, 2)
      return true
    })
  }

  #locked(transaction, id) {
    return transaction.findOne(Sequence, { where: { id }, lock: { mode: 'pessimistic_write' } })
  }

  #record(transaction, sequenceId, version, type, payload) {
    return transaction.insert(SequenceEvent, { sequenceId, version, type, payload, occurredAt: new Date() })
  }

  #update(transaction, { id, version }, changes) {
    return transaction.update(Sequence, { id }, { ...changes, version: version + 1, updatedAt: new Date() })
  }

  #command(transaction, sequenceId, step) {
    const value = { sequenceId, step, messageId: `${sequenceId}.${step}`, commandedAt: new Date().toISOString() }
    return transaction.insert(Outbox, { topic: this.topics[step], key: sequenceId, value })
  }
}
