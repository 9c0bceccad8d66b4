// What the orchestrator still knows of the log where the topic has forgotten it: its internal read of histories.
import type { SequenceChanged } from '@stepcast/contracts'
import { contextHeader, contextKey, signContext, type Env } from '@stepcast/service'

/** A stretch of a partition's log, as the orchestrator's `GET /internal/changes` answers it. */
export interface Stretch {
  readonly items: readonly SequenceChanged[]
  /** Everything up to this position was looked at. */
  readonly readTo: number
  /** The first UTC day (YYYY-MM-DD) whose sequences, and those of later days, have all their changes; null: nothing was ever dropped. */
  readonly wholeSince: string | null
}

/** The event store, read from afar. */
export interface EventStore {
  /** Changes after one position and up to another; an outage rejects with a `retriable` error. */
  changes(partition: number, afterPosition: number, upToPosition: number): Promise<Stretch>
}

const timeoutMs = 60_000

/**
 * Reads ORCHESTRATOR_URL and STEPCAST_INTERNAL_SECRET.
 * @throws when one is missing, naming it
 */
export function storeFromEnv(env: Env): EventStore {
  const { ORCHESTRATOR_URL } = env
  if (!ORCHESTRATOR_URL) throw new Error('ORCHESTRATOR_URL is missing: give the address of the orchestrator')
  const key = contextKey(env.STEPCAST_INTERNAL_SECRET)
  const outage = (message: string, cause?: unknown): Error => Object.assign(new Error(message, { cause }), { retriable: true })
  return {
    async changes(partition, afterPosition, upToPosition) {
      const context = await signContext(key, { workspaceId: '', scopes: ['internal'], userId: null, via: 'api_key', keyId: null })
      let response: Response
      try {
        response = await fetch(
          `${ORCHESTRATOR_URL}/internal/changes?partition=${partition}&afterPosition=${afterPosition}&upToPosition=${upToPosition}`,
          { headers: { [contextHeader]: context }, signal: AbortSignal.timeout(timeoutMs) },
        )
        if (response.ok) return (await response.json()) as Stretch
      } catch (error) {
        throw outage('the orchestrator is out of reach', error)
      }
      await response.body?.cancel()
      throw outage(`the orchestrator answered ${response.status}`)
    },
  }
}

const positionsAtFirst = 10_000
const positionsAtMost = 1_000_000_000

/** Reads everything between two positions, in order; where retention has dropped everything, the steps become wider. */
export async function* changesBetween(
  store: EventStore,
  partition: number,
  after: number,
  before: number,
): AsyncGenerator<readonly SequenceChanged[]> {
  let span = positionsAtFirst
  for (let at = after; at < before - 1; ) {
    const { items, readTo } = await store.changes(partition, at, Math.min(at + span, before - 1))
    if (readTo <= at) throw new Error(`the orchestrator's answer for partition ${partition} does not go on after position ${at}`)
    if (items.length > 0) yield items
    span = items.length > 0 ? positionsAtFirst : Math.min(span * 4, positionsAtMost)
    at = readTo
  }
}
