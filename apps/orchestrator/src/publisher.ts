// What one ownership of a partition has committed and Kafka does not have yet: published behind the turns, one turn after another.
import { errorClass, isOutage } from '@stepcast/contracts'
import type { CommittedChange } from './committed'
import { publishChanges, republish, type PublishOptions } from './publish'
import type { Cursor } from './sql/cursor'

/** What is published, taken at one moment: whoever stores the position deletes the variables of exactly these, or of none. */
export interface Published {
  readonly position: number
  /** Sequences whose ending is published up to `position`: nothing of theirs is rendered again, so their variables go. */
  readonly ended: readonly string[]
}

/** What a publisher needs and tells. */
export interface PublisherOptions extends PublishOptions {
  readonly partition: number
  /** Sequences wait for being forgotten. */
  readonly mayForget: () => void
  /** It failed: nothing more is published until the ownership begins again. */
  readonly failed: () => void
  /** Kafka or the encoding refused what is committed; no outage. */
  readonly refused: () => void
}

// One turn deletes so many at most: a few milliseconds. After a sweep many more may wait.
const forgottenAtOnce = 5_000

/** Publishes what turns committed, in order. */
export class Publisher {
  /** Turns that are committed and not published. */
  unpublished = 0
  /** Why publishing stands still; null: it goes on. */
  error: Error | null = null
  private now: Published
  private publishing: Promise<void> = Promise.resolve()

  constructor(
    private readonly options: PublisherOptions,
    published: Published,
  ) {
    this.now = published
  }

  /** Publishes what the ownership before left unpublished, then begins; `left` has ended and was to be forgotten already. */
  static async begin(options: PublisherOptions, { publishedPosition, logPosition }: Cursor, left: readonly string[]): Promise<Publisher> {
    try {
      const ended = await republish(options, options.partition, publishedPosition, logPosition)
      return new Publisher(options, { position: logPosition, ended: [...left, ...ended] })
    } catch (error) {
      refusedUnlessOutage(options, error, publishedPosition, logPosition)
      throw error
    }
  }

  /** What a turn may store as published and forget. */
  get published(): Published {
    const { position, ended } = this.now
    return ended.length <= forgottenAtOnce ? this.now : { position, ended: ended.slice(0, forgottenAtOnce) }
  }

  /** All that is published and not forgotten yet. */
  get all(): Published {
    return this.now
  }

  /** A turn has stored this and deleted its variables. */
  stored({ ended }: Published): void {
    if (ended.length > 0) this.now = { ...this.now, ended: this.now.ended.slice(ended.length) }
  }

  /** These have ended too, and what ended them was published long ago. */
  alsoEnded(sequenceIds: readonly string[]): void {
    this.now = { ...this.now, ended: [...this.now.ended, ...sequenceIds] }
    this.options.mayForget()
  }

  /** Resolves when nothing is being published. */
  settled(): Promise<void> {
    return this.publishing
  }

  /** Publishes a turn's changes behind those before, so that the next transaction runs meanwhile. */
  publish(changes: readonly CommittedChange[], logPosition: number): void {
    if (changes.length === 0) return
    this.unpublished++
    this.publishing = this.publishing
      .then(() => this.publishNext(changes, logPosition))
      .finally(() => {
        this.unpublished--
        if (this.error) this.options.failed()
      })
  }

  private async publishNext(changes: readonly CommittedChange[], logPosition: number): Promise<void> {
    if (this.error) return
    try {
      // failpoint: before-publish
      await publishChanges(this.options, this.options.partition, changes)
      // failpoint: after-publish
    } catch (error) {
      this.error = error as Error
      return refusedUnlessOutage(this.options, error, this.now.position, logPosition)
    }
    const ended = changes.filter((change) => change.ended && change.variables !== null).map(({ head }) => head.sequenceId)
    this.now = { position: logPosition, ended: ended.length === 0 ? this.now.ended : [...this.now.ended, ...ended] }
    if (ended.length > 0) this.options.mayForget()
  }
}

// Nothing can be skipped: the log is the outbox. It is tried again from the stored position on, and an operator must know.
function refusedUnlessOutage({ connection, partition, refused }: PublisherOptions, error: unknown, from: number, to: number): void {
  if (isOutage(error)) return
  connection.log.error({ partition, errorClass: errorClass(error), from, to }, 'what is committed cannot be published, trying again')
  refused()
}
