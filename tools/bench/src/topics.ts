// The ends of topics: how the driver knows that a phase is over without reading a record.
import type { KafkaConnection } from '@stepcast/kafka'

/** Records ever written to a topic. */
export async function written(connection: KafkaConnection, topic: string): Promise<number> {
  let total = 0
  for (const end of (await connection.endOffsets(topic)).values()) total += end
  return total
}

const lookEveryMs = 50
const giveUpAfterMs = 180_000

/** Waits until a topic holds so many records; tells how many there are meanwhile. Answers the milliseconds it took. */
export async function untilWritten(
  connection: KafkaConnection,
  topic: string,
  count: number,
  onCount: (done: number) => void,
): Promise<number> {
  const begin = performance.now()
  for (;;) {
    const now = await written(connection, topic)
    onCount(now)
    if (now >= count) return performance.now() - begin
    if (performance.now() - begin > giveUpAfterMs)
      throw new Error(`${topic} holds ${now} of ${count} records after ${giveUpAfterMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}
