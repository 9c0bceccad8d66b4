// Asks a broker whether it can do its work, in a few bytes of Kafka's protocol: a port that answers is not yet a broker
// that has loaded its group coordinator, and clients would greet the user with retries and warnings until it has. The
// Kafka client stays in `@stepcast/kafka`; three fixed requests need none.
import { connect } from 'node:net'

const apiHeartbeat = 12
const apiFindCoordinator = 10
const apiInitProducerId = 22

const unknownMemberId = 25
const probeTimeoutMs = 2_000

/**
 * Tells whether the broker answers, hands out producer ids and has loaded the coordinators of all groups.
 *
 * @param groupPartitions the broker's `offsets.topic.num.partitions`: each holds the groups of one share of names
 */
export function brokerWorks(host: string, port: number, groupPartitions: number): Promise<boolean> {
  const groups = groupPerPartition(groupPartitions)
  // A heartbeat of a member that was never there is refused as that, and only by a coordinator that has loaded its groups.
  const requests = [
    // The first question for a coordinator makes a new broker create the topic that the coordinators keep their groups in.
    { body: request(apiFindCoordinator, [text(groups[0] ?? '')]), good: (answer: Buffer) => answer.readInt16BE(0) === 0 },
    { body: request(apiInitProducerId, [int16(-1), int32(60_000)]), good: (answer: Buffer) => answer.readInt16BE(4) === 0 },
    ...groups.map((group) => ({
      body: request(apiHeartbeat, [text(group), int32(0), text('nobody')]),
      good: (answer: Buffer) => answer.readInt16BE(0) === unknownMemberId,
    })),
  ]
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: probeTimeoutMs })
    let received: Buffer = Buffer.alloc(0)
    let answered = 0
    const finish = (works: boolean): void => {
      socket.destroy()
      resolve(works)
    }
    socket.once('error', () => finish(false))
    socket.once('timeout', () => finish(false))
    socket.once('close', () => finish(false))
    socket.once('connect', () => socket.write(requests[0]?.body ?? ''))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      // size, correlation id, then the answer's fields
      while (received.length >= 8 && received.length >= 4 + received.readInt32BE(0)) {
        const size = received.readInt32BE(0)
        const answer = received.subarray(8, 4 + size)
        received = received.subarray(4 + size)
        if (!requests[answered]?.good(answer)) return finish(false)
        answered++
        const next = requests[answered]
        if (next === undefined) return finish(true)
        socket.write(next.body)
      }
    })
  })
}

/** One group name for every partition of the offsets topic: Java's string hash of the name decides where a group lives. */
export function groupPerPartition(partitions: number): string[] {
  const names: (string | undefined)[] = new Array<undefined>(partitions).fill(undefined)
  let missing = partitions
  for (let number = 0; missing > 0; number++) {
    const name = `stepcast-probe-${number}`
    let hash = 0
    for (const character of name) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0
    const partition = (hash & 0x7fffffff) % partitions
    if (names[partition] === undefined) {
      names[partition] = name
      missing--
    }
  }
  return names as string[]
}

/** A request in version 0 of its kind. */
function request(api: number, fields: readonly Buffer[]): Buffer {
  const content = Buffer.concat([int16(api), int16(0), int32(1), text('stepcast-probe'), ...fields])
  return Buffer.concat([int32(content.length), content])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([int16(bytes.length), bytes])
}
