// Waits for a rebuild, tells how far it is, and gives up when nothing moves any more.
import { setTimeout as pause } from 'node:timers/promises'
import type { Pool } from 'pg'

/** How far a partition is folded. */
export interface Folding {
  readonly partition: number
  readonly logPosition: number
  readonly nextOffset: number
}

/** What a wait goes by. */
export interface Patience {
  /** Given up when nothing has moved for so long. */
  readonly stillMs: number
  /** Given up in any case after so long. */
  readonly atMostMs?: number
  readonly sayEveryMs?: number
  readonly say: (line: string) => void
}

const pollMs = 200

/** Reads how far each partition is folded. */
export async function foldedBy(pool: Pool): Promise<ReadonlyMap<number, Folding>> {
  const { rows } = await pool.query<Folding>(
    'SELECT partition, log_position AS "logPosition", next_offset AS "nextOffset" FROM positions ORDER BY partition',
  )
  return new Map(rows.map((row) => [row.partition, row]))
}

/**
 * Waits until every partition has reached its mark.
 * @throws naming the partitions that stand still
 */
export async function untilReached(
  pool: Pool,
  of: 'logPosition' | 'nextOffset',
  marks: ReadonlyMap<number, number>,
  { stillMs, atMostMs = Infinity, sayEveryMs = 10_000, say }: Patience,
): Promise<void> {
  const startedAt = performance.now()
  let [moved, said, before] = [startedAt, startedAt, '']
  for (;;) {
    const folded = await foldedBy(pool)
    const missing = [...marks].filter(([partition, mark]) => (folded.get(partition)?.[of] ?? 0) < mark)
    if (missing.length === 0) return
    const now = performance.now()
    const standing = JSON.stringify([...folded.values()])
    if (standing !== before) [moved, before] = [now, standing]
    const where = missing.map(([partition, mark]) => `partition ${partition} at ${folded.get(partition)?.[of] ?? 0} of ${mark}`).join(', ')
    if (now - moved >= stillMs || now - startedAt >= atMostMs) {
      const since =
        now - moved >= stillMs ? `nothing has moved for ${Math.round(stillMs / 1_000)} s` : `it took over ${Math.round(atMostMs / 1_000)} s`
      throw new Error(`${since}: ${where}. Nothing was changed; the lines above may tell why. Run it again`)
    }
    if (now - said >= sayEveryMs) {
      said = now
      say(`${marks.size - missing.length} of ${marks.size} partitions done; ${where}`)
    }
    await pause(pollMs)
  }
}
