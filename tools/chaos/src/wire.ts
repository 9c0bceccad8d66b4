// Kafka's protocol by hand, for one broker: requests carry whatever bytes they are given. https://kafka.apache.org/protocol
import { connect, type Socket } from 'node:net'
import { sleep } from '@stepcast/stack'

/** What the broker said to a batch: its first offset, or the number of an error. */
export interface Produced {
  readonly error: number
  readonly offset: number
}

/** What a fetch brought: record batches as they stand, and how far the partition reaches. */
export interface Fetched {
  readonly partition: number
  readonly batches: Buffer
  readonly end: number
}

const timeoutMs = 30_000
class Body {
  private readonly parts: Buffer[] = []
  int8 = (value: number): this => this.put(1, (b) => b.writeInt8(value))
  int16 = (value: number): this => this.put(2, (b) => b.writeInt16BE(value))
  int32 = (value: number): this => this.put(4, (b) => b.writeInt32BE(value))
  int64 = (value: bigint): this => this.put(8, (b) => b.writeBigInt64BE(value))

  text(value: string | null): this {
    if (value === null) return this.int16(-1)
    const bytes = Buffer.from(value)
    return this.int16(bytes.length).raw(bytes)
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value)
  }

  raw(value: Buffer): this {
    this.parts.push(value)
    return this
  }

  take(): Buffer {
    return Buffer.concat(this.parts)
  }

  private put(size: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(size)
    write(buffer)
    return this.raw(buffer)
  }
}

class Answer {
  private at = 0
  constructor(private readonly buffer: Buffer) {}
  int8 = (): number => this.buffer.readInt8((this.at += 1) - 1)
  int16 = (): number => this.buffer.readInt16BE((this.at += 2) - 2)
  int32 = (): number => this.buffer.readInt32BE((this.at += 4) - 4)
  int64 = (): bigint => this.buffer.readBigInt64BE((this.at += 8) - 8)

  text(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.slice(length).toString()
  }

  bytes(): Buffer {
    const length = this.int32()
    return length < 0 ? Buffer.alloc(0) : this.slice(length)
  }

  /** Calls for each element of an array. */
  each(read: () => void): void {
    for (let left = this.int32(); left > 0; left--) read()
  }

  private slice(length: number): Buffer {
    return this.buffer.subarray(this.at, (this.at += length))
  }
}

interface Waiting {
  readonly done: (answer: Buffer) => void
  readonly fail: (error: Error) => void
}

/** One connection; made anew when the broker has closed it. */
export class Wire {
  private socket: Promise<Socket> | null = null
  private readonly waiting = new Map<number, Waiting>()
  private correlation = 0
  private received: Buffer[] = []
  private receivedBytes = 0

  /** @param broker `host:port` */
  constructor(private readonly broker: string) {}

  /** Puts a batch on a topic-partition, acknowledged by all. */
  async produce(topic: string, partition: number, batch: Buffer, transactionalId: string | null = null): Promise<Produced> {
    const body = new Body().text(transactionalId).int16(-1).int32(timeoutMs).int32(1).text(topic).int32(1).int32(partition).bytes(batch)
    const answer = await this.call(0, 7, body)
    const result = { error: 0, offset: -1 }
    answer.each(() => {
      answer.text()
      answer.each(() => {
        answer.int32()
        result.error = answer.int16()
        result.offset = Number(answer.int64())
      })
    })
    return result
  }

  /** Reads committed batches of a topic from these offsets on. */
  async fetch(topic: string, from: ReadonlyMap<number, number>): Promise<Fetched[]> {
    const body = new Body()
      .int32(-1)
      .int32(200)
      .int32(1)
      .int32(32 * 1024 * 1024)
      .int8(1)
      .int32(0)
      .int32(-1)
      .int32(1)
      .text(topic)
      .int32(from.size)
    for (const [partition, offset] of from)
      body
        .int32(partition)
        .int32(-1)
        .int64(BigInt(offset))
        .int64(-1n)
        .int32(8 * 1024 * 1024)
    const answer = await this.call(1, 10, body.int32(0))
    answer.int32()
    answer.int16()
    answer.int32()
    const fetched: Fetched[] = []
    answer.each(() => {
      answer.text()
      answer.each(() => {
        const [partition, error] = [answer.int32(), answer.int16()]
        answer.int64()
        const end = Number(answer.int64())
        answer.int64()
        answer.each(() => void [answer.int64(), answer.int64()])
        const batches = answer.bytes()
        if (error === 0) fetched.push({ partition, batches, end })
      })
    })
    return fetched
  }

  /** Puts a batch on a topic-partition inside a transaction of its own, and ends that. */
  async produceInTransaction(
    id: string,
    topic: string,
    partition: number,
    isCommitted: boolean,
    batchOf: (producerId: bigint, epoch: number) => Buffer,
  ): Promise<Produced> {
    const { producerId, epoch } = await this.producer(id)
    const of = (): Body => new Body().text(id).int64(producerId).int16(epoch)
    const added = await this.call(24, 0, of().int32(1).text(topic).int32(1).int32(partition))
    added.int32()
    const produced = await this.produce(topic, partition, batchOf(producerId, epoch), id)
    for (let tries = 0; tries < 50; tries++) {
      const ended = await this.call(26, 0, of().int8(isCommitted ? 1 : 0))
      ended.int32()
      // 51: the transaction before is still being ended.
      const error = ended.int16()
      if (error === 0) break
      await sleep(100)
    }
    return produced
  }

  private async producer(id: string): Promise<{ producerId: bigint; epoch: number }> {
    for (let tries = 0; ; tries++) {
      // The coordinator makes its own topic when it is asked for the first time.
      await this.call(10, 1, new Body().text(id).int8(1))
      const answer = await this.call(22, 0, new Body().text(id).int32(10_000))
      answer.int32()
      const error = answer.int16()
      if (error === 0) return { producerId: answer.int64(), epoch: answer.int16() }
      if (tries > 100) throw new Error(`no transaction: error ${error}`)
      await sleep(100)
    }
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    const socket = await this.socket?.catch(() => null)
    socket?.destroy()
  }

  private async call(api: number, version: number, body: Body): Promise<Answer> {
    const socket = await (this.socket ??= this.open())
    const correlation = ++this.correlation
    const request = new Body().int16(api).int16(version).int32(correlation).text('fuzz').raw(body.take()).take()
    const length = Buffer.alloc(4)
    length.writeInt32BE(request.length)
    const answered = new Promise<Buffer>((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`Kafka did not answer within ${timeoutMs} ms`)), timeoutMs + 5_000)
      const end =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          this.waiting.delete(correlation)
          then(value)
        }
      this.waiting.set(correlation, { done: end(done), fail: end(fail) })
    })
    socket.write(Buffer.concat([length, request]))
    return new Answer((await answered).subarray(4))
  }

  private open(): Promise<Socket> {
    const [host, port] = this.broker.split(':')
    return new Promise((done, fail) => {
      const socket = connect(Number(port), host!)
      socket.setNoDelay(true)
      socket.once('connect', () => done(socket))
      socket.on('data', (part: Buffer) => this.take(part))
      socket.on('error', (error) => {
        this.socket = null
        fail(error)
      })
      socket.once('close', () => {
        this.socket = null
        this.received = []
        this.receivedBytes = 0
        for (const { fail: failed } of [...this.waiting.values()]) failed(new Error('Kafka closed the connection'))
      })
    })
  }

  private take(part: Buffer): void {
    this.received.push(part)
    this.receivedBytes += part.length
    for (;;) {
      if (this.receivedBytes < 4) return
      if (this.received[0]!.length < 4) this.received = [Buffer.concat(this.received)]
      const length = this.received[0]!.readInt32BE(0) + 4
      if (this.receivedBytes < length) return
      const all = Buffer.concat(this.received)
      const answer = all.subarray(4, length)
      this.received = all.length > length ? [all.subarray(length)] : []
      this.receivedBytes = all.length - length
      this.waiting.get(answer.readInt32BE(0))?.done(answer)
    }
  }
}
