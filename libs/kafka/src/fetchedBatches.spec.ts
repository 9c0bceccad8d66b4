import { gzipSync, gunzipSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import type { KafkaMessage } from 'kafkajs'
import { crc32c } from './crc32c'
import { maxRecordsOfBatch } from './batchRecords'
import { decompressed } from './decompress'
import { decodeBatches, decodeFetch, passedBy } from './fetchedBatches'
import { ofLibrdkafka, ofOthers } from './fetchedBatches.fixtures'
import { RecordBatch } from './recordBatch'
import { decompressZstdInWebAssembly } from './zstd'

// Some of these make 64 MB of something.
jest.setTimeout(60_000)

const [gzip, snappy, lz4, zstd] = [1, 2, 3, 4] as const
const limit = 64 * 1024 * 1024

/** What of a batch may be other than it should. */
interface Front {
  readonly base?: number
  readonly attributes?: number
  readonly lastOffsetDelta?: number
  readonly producerId?: number
  readonly records?: number
  /** In the place of the records. */
  readonly payload?: Buffer
  readonly magic?: number
}

/** A batch with another front, its checksum right. */
function changed(batch: Buffer, { base, attributes, lastOffsetDelta, producerId, records, payload, magic }: Front): Buffer {
  const bytes = Buffer.concat([batch.subarray(0, 61), payload ?? batch.subarray(61)])
  bytes.writeInt32BE(bytes.length - 12, 8)
  if (base !== undefined) bytes.writeBigInt64BE(BigInt(base), 0)
  if (magic !== undefined) bytes[16] = magic
  if (attributes !== undefined) bytes.writeInt16BE(attributes, 21)
  if (lastOffsetDelta !== undefined) bytes.writeInt32BE(lastOffsetDelta, 23)
  if (producerId !== undefined) bytes.writeBigInt64BE(BigInt(producerId), 43)
  if (records !== undefined) bytes.writeInt32BE(records, 57)
  bytes.writeUInt32BE(crc32c(bytes, 21, bytes.length), 17)
  return bytes
}

/** A batch of records whose values are `<name><n>`. */
function batchOf(name: string, count: number, front: Front = {}): Buffer {
  const batch = RecordBatch.begin()
  for (let n = 0; n < count; n++) {
    const value = Buffer.from(`${name}${n}`)
    batch.add(`k${n}`, value, 0, value.length, { h: 'é' })
  }
  return changed(batch.finish(5), front)
}

const plainOf = (batch: Buffer): Buffer => batch.subarray(61)
const xerialOf = (plain: Buffer): Buffer => {
  const blocks = Array.from({ length: Math.ceil(plain.length / 1000) }, (_, n) => compressSync(plain.subarray(n * 1000, n * 1000 + 1000)))
  const head = Buffer.from('82534e4150505900 00000001 00000001'.replaceAll(' ', ''), 'hex')
  return Buffer.concat([head, ...blocks.flatMap((block) => [Buffer.from(Uint32Array.of(block.length).buffer).swap32(), block])])
}
/** Each block as it is, 128 kB at most; the frame says no size. */
const zstdOf = (plain: Buffer): Buffer => Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), zstdBlock(plain.length * 8 + 1), plain])
const zstdBlock = (header: number): Buffer => Buffer.from([header & 0xff, (header >> 8) & 0xff, header >> 16])
const compressors: readonly (readonly [string, number, (plain: Buffer) => Buffer])[] = [
  ['gzip', gzip, (plain) => gzipSync(plain)],
  ['snappy, one block', snappy, (plain) => compressSync(plain)],
  ["snappy in Java's frame", snappy, xerialOf],
  ['lz4', lz4, (plain) => compressFrameSync(plain)],
  [
    'lz4 in two frames, checksums',
    lz4,
    (plain) =>
      Buffer.concat(
        [plain.subarray(0, 99), plain.subarray(99)].map((part) => compressFrameSync(part, { contentChecksum: true, blockChecksums: true })),
      ),
  ],
  ['zstd', zstd, zstdOf],
  ['zstd in two frames', zstd, (plain) => Buffer.concat([zstdOf(plain.subarray(0, 99)), zstdOf(plain.subarray(99))])],
]

const textOf = ({ value }: KafkaMessage): string => String(value)
const decoded = (batches: readonly Buffer[], from = 0, end = 1_000_000): Promise<KafkaMessage[]> =>
  decodeBatches(Buffer.concat(batches), from, end, [])
/** Offsets and values, and of what is no record why. */
const seen = async (batches: readonly Buffer[], from = 0, end = 1_000_000): Promise<unknown[]> =>
  (await decoded(batches, from, end)).map((message) => [Number(message.offset), passedBy(message) ?? textOf(message)])

describe('batches that librdkafka wrote', () => {
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('%s', async (codec) => {
    const messages = await decoded([Buffer.from(ofLibrdkafka[codec], 'base64')])
    expect(messages.length).toBe(codec === 'snappy' ? 10 : 40)
    messages.forEach(({ key, value, headers, offset, timestamp }, n) => {
      expect([String(key), String(value), offset, timestamp]).toEqual([
        `k${n}`,
        `record ${n} of librdkafka. `.repeat(200).slice(0, 4000 + n),
        String(n),
        String(1_700_000_000_000 + n),
      ])
      expect(headers).toEqual({ name: Buffer.from('é'), n: Buffer.from(String(n)) })
    })
  })

  it.each([
    ['lz4Linked', lz4],
    ['zstdSized', zstd],
  ] as const)('the same records by others: %s', async (name, codec) => {
    const batch = Buffer.from(ofLibrdkafka.gzip, 'base64')
    const other = changed(batch, { attributes: codec, payload: Buffer.from(ofOthers[name], 'base64') })
    expect(await decoded([other])).toEqual(await decoded([batch]))
  })

  it('both ways of Zstandard give the same: that of Node and that in WebAssembly', async () => {
    const plain = gunzipSync(plainOf(Buffer.from(ofLibrdkafka.gzip, 'base64')))
    expect((await decompressZstdInWebAssembly(Buffer.from(ofOthers.zstdSized, 'base64'), limit)).equals(plain)).toBe(true)
    expect((await decompressZstdInWebAssembly(plainOf(Buffer.from(ofLibrdkafka.zstd, 'base64')), limit)).equals(plain)).toBe(true)
  })
})

it.each(compressors)('%s: small, large, and beside batches that are not compressed', async (_, codec, compress) => {
  const plain = batchOf('a', 300)
  const large = RecordBatch.begin()
  const value = Buffer.alloc(100_000, 'large ')
  large.add(null, value, 0, value.length)
  const batches = [
    plain,
    changed(plain, { base: 300, attributes: codec, payload: compress(plainOf(plain)) }),
    changed(batchOf('c', 1), { base: 600 }),
    changed(large.finish(5), { base: 601, attributes: codec, payload: compress(plainOf(large.finish(5))) }),
  ]
  const messages = await decoded(batches)
  expect(messages.slice(0, 601).map(textOf)).toEqual([...Array(300).keys(), ...Array(300).keys()].map((n) => `a${n}`).concat('c0'))
  expect(messages[601]!.value!.equals(value)).toBe(true)
  expect(messages.map(({ offset }) => Number(offset))).toEqual([...Array(602).keys()])
})

describe('a batch that cannot be read is one message that says why; its neighbours are read', () => {
  const plain = batchOf('bad', 5)
  const between = (bad: Buffer): Buffer[] => [batchOf('a', 2), changed(bad, { base: 2 }), changed(batchOf('b', 2), { base: 7 })]
  const why = async (bad: Buffer): Promise<string> => {
    const all = await seen(between(bad), 0, 9)
    expect([all[0], all[1], all[3], all[4]]).toEqual([
      [0, 'a0'],
      [1, 'a1'],
      [7, 'b0'],
      [8, 'b1'],
    ])
    expect(all[2]).toEqual([6, { first: 2, last: 6, why: expect.any(String) as string }])
    return (all[2] as [number, { why: string }])[1].why
  }
  const payload = plainOf(plain)

  it.each([5, 6, 7])('codec %i, which nobody knows', async (codec) => {
    expect(await why(changed(plain, { attributes: codec }))).toBe(`codec ${codec} is unknown`)
  })

  it.each(compressors)('%s that is cut, or no such thing', async (_, codec, compress) => {
    const whole = compress(payload)
    for (const bytes of [0, 1, 7, 15, 20, whole.length - 3])
      expect(await why(changed(plain, { attributes: codec, payload: whole.subarray(0, bytes) }))).toMatch(/decompressed|cut/)
    expect(await why(changed(plain, { attributes: codec, payload: Buffer.from('this is nothing that was ever compressed') }))).toMatch(
      /decompressed/,
    )
  })

  it.each([
    ['more records than there are', { records: 6 }, 'a record is cut'],
    ['fewer', { records: 4 }, 'it is longer than its records'],
    ['less than none', { records: -1 }, 'it has less than no records'],
    [
      'more than are read',
      { records: maxRecordsOfBatch + 1 },
      `${maxRecordsOfBatch + 1} records in one batch, at most ${maxRecordsOfBatch} are read`,
    ],
    ['a record cut', { payload: payload.subarray(0, -1) }, 'a record is cut'],
    ['format 3', { magic: 3 }, 'record format 3 is unknown'],
    ['offsets beyond its last', { payload: plainOf(batchOf('bad', 6)), records: 6 }, 'its records are not in order'],
  ] as const)('its front says %s', async (_, front, expected) => {
    expect(await why(changed(plain, front))).toBe(expected)
  })

  it('a wrong checksum, whatever else its front says', async () => {
    const bad = changed(plain, { base: 2, lastOffsetDelta: 2_000_000_000 })
    bad[17]! ^= 1
    expect(await seen([batchOf('a', 2), bad, changed(batchOf('b', 1), { base: 7 })], 0, 8)).toEqual([
      [0, 'a0'],
      [1, 'a1'],
      [6, { first: 2, last: 6, why: 'its checksum is wrong' }],
      [7, 'b0'],
    ])
    // The last of what the broker sent ends with the partition at most.
    expect(await seen([bad], 2, 50)).toEqual([[49, { first: 2, last: 49, why: 'its checksum is wrong' }]])
  })
})

describe('more than 64 MB decompressed', () => {
  const zeros = Buffer.alloc(limit + 1)
  const stored = (blocks: number): Buffer =>
    Buffer.concat(
      Array.from({ length: blocks }, (_, n) =>
        Buffer.concat([zstdBlock(128 * 1024 * 8 + 2 + (n === blocks - 1 ? 1 : 0)), Buffer.alloc(1)]),
      ),
    )
  /** One literal, and a match of it that long. */
  const lz4Of = (bytes: number): Buffer => {
    const block = Buffer.concat([
      Buffer.from([0x1f, 0, 1, 0]),
      Buffer.alloc(Math.floor((bytes - 20) / 255), 255),
      Buffer.from([(bytes - 20) % 255]),
    ])
    return Buffer.concat([Buffer.from('04224d18604000', 'hex'), Buffer.from(Uint32Array.of(block.length).buffer), block, Buffer.alloc(4)])
  }
  it.each([
    ['gzip', gzip, (): Buffer => gzipSync(zeros, { level: 1 })],
    ['snappy', snappy, (): Buffer => compressSync(zeros)],
    [
      "snappy in Java's frame",
      snappy,
      (): Buffer => {
        const block = compressSync(zeros.subarray(0, 32 * 1024))
        const size = Buffer.from(Uint32Array.of(block.length).buffer).swap32()
        return Buffer.concat([
          Buffer.from('82534e41505059000000000100000001', 'hex'),
          ...Array.from({ length: 2049 }, () => Buffer.concat([size, block])),
        ])
      },
    ],
    ['lz4', lz4, (): Buffer => lz4Of(limit + 1)],
    ['zstd', zstd, (): Buffer => Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), stored(513)])],
    ['zstd that says its size', zstd, (): Buffer => Buffer.concat([Buffer.from('28b52ffda001000004', 'hex'), stored(513)])],
  ])('%s: passed by, without room being made for it', async (_, codec, bomb) => {
    const bad = changed(batchOf('bad', 3), { attributes: codec, payload: bomb() })
    const [message] = await decoded([bad], 0, 3)
    expect(passedBy(message!)).toEqual({
      first: 0,
      last: 2,
      why: expect.stringMatching(/^more than 67108864 bytes when \w+ is decompressed$/) as string,
    })
  })

  it('a size that cannot be true costs nothing', async () => {
    const lies = [
      [snappy, Buffer.from('ffffff1f00', 'hex')],
      [zstd, Buffer.from('28b52ffd00f8010000', 'hex')],
      [zstd, Buffer.from('28b52ffda0ffffffff010000', 'hex')],
    ] as const
    const before = process.memoryUsage().rss
    for (let n = 0; n < 500; n++)
      for (const [codec, payload] of lies) await decoded([changed(batchOf('bad', 3), { attributes: codec, payload })], 0, 3)
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6)
  })

  it('a window of 128 MB and blocks of one byte cost what the bytes cost', async () => {
    const payload = (blocks: number): Buffer =>
      Buffer.concat([
        Buffer.from('28b52ffd0088', 'hex'),
        ...Array.from({ length: blocks }, (_, n) => Buffer.concat([zstdBlock(8 + (n === blocks - 1 ? 1 : 0)), Buffer.from('x')])),
      ])
    const before = process.memoryUsage().rss
    const begin = performance.now()
    for (let n = 0; n < 20; n++) expect(await decompressed(zstd, payload(10_000))).toEqual(Buffer.alloc(10_000, 'x'))
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6)
    // Moving the window with each block, as decoders that stream do, took an hour.
    expect(performance.now() - begin).toBeLessThan(20_000)
  })

  it("half a million blocks of one byte in Java's frame of Snappy cost what their bytes cost", async () => {
    const block = compressSync(Buffer.from('x'))
    const size = Buffer.from(Uint32Array.of(block.length).buffer).swap32()
    const blocks = 500_000
    const payload = Buffer.concat([
      Buffer.from('82534e41505059000000000100000001', 'hex'),
      Buffer.alloc(blocks * (4 + block.length), Buffer.concat([size, block])),
    ])
    const begin = performance.now()
    expect((await decompressed(snappy, payload)).equals(Buffer.alloc(blocks, 'x'))).toBe(true)
    // A thread for each took ten times as long.
    expect(performance.now() - begin).toBeLessThan(20_000)
  })

  it('one answer brings 64 MB and the batch under way; what is beyond is fetched again, and each partition has its turn', async () => {
    const value = Buffer.alloc(20e6)
    const large = RecordBatch.begin()
    large.add(null, value, 0, value.length)
    const plain = large.finish(5)
    const compressed = gzipSync(plainOf(plain))
    const batches = Buffer.concat([0, 1, 2, 3, 4, 5].map((base) => changed(plain, { base, attributes: gzip, payload: compressed })))
    expect((await decodeBatches(batches, 0, 6, [])).map(({ offset }) => offset)).toEqual(['0', '1', '2', '3'])
    const asked = {
      topics: [
        {
          topic: 't',
          partitions: [
            { partition: 0, fetchOffset: '0' },
            { partition: 1, fetchOffset: '0' },
          ],
        },
      ],
    }
    const answer = answerOf([batches, batches])
    const served = new Set<number>()
    for (let n = 0; n < 2; n++) {
      const { responses } = (await decodeFetch(answer, 4, asked)) as {
        responses: { partitions: { partition: number; messages: unknown[] }[] }[]
      }
      for (const { partition, messages } of responses[0]!.partitions) if (messages.length > 0) served.add(partition)
    }
    expect([...served].sort()).toEqual([0, 1])
  })
})

/** A fetch's answer, version 4, of topic `t`. */
function answerOf(partitions: readonly Buffer[]): Buffer {
  const int32 = (value: number): Buffer => Buffer.from(Int32Array.of(value).buffer).swap32()
  const bytes = [int32(0), int32(1), Buffer.from([0, 1]), Buffer.from('t'), int32(partitions.length)]
  partitions.forEach((records, partition) => {
    const ends = Buffer.alloc(16)
    ends.writeBigInt64BE(1_000n, 0)
    ends.writeBigInt64BE(1_000n, 8)
    bytes.push(int32(partition), Buffer.alloc(2), ends, int32(-1), int32(records.length), records)
  })
  return Buffer.concat(bytes)
}

describe('offsets without records are told at the end, so that a reader knows how far it has come', () => {
  const transactional = 0x10
  const control = 0x30
  const marker = (base: number, producerId: number, type: number): Buffer => {
    const batch = RecordBatch.begin()
    batch.add(Buffer.from([0, 0, 0, type]), Buffer.alloc(6), 0, 6)
    return changed(batch.finish(5), { base, attributes: control, producerId })
  }
  const [abort, commit] = [0, 1] as const

  it('a marker, and what a transaction gave up', async () => {
    const batches = Buffer.concat([batchOf('given up', 3, { attributes: transactional, producerId: 9 }), marker(3, 9, abort)])
    const messages = await decodeBatches(batches, 0, 4, [{ producerId: 9n, firstOffset: 0 }])
    expect(messages.map(passedBy)).toEqual([{ first: 0, last: 3, why: null }])
  })

  it('transactions of two producers, one given up, the other not; both given up, begun before what was fetched', async () => {
    const batches = [
      batchOf('a', 2, { base: 10, attributes: transactional, producerId: 1 }),
      batchOf('b', 2, { base: 12, attributes: transactional, producerId: 2 }),
      marker(14, 1, abort),
      batchOf('c', 1, { base: 15, attributes: transactional, producerId: 1 }),
      marker(16, 1, commit),
      marker(17, 2, commit),
      batchOf('d', 1, { base: 18 }),
    ]
    const values = async (aborted: { producerId: bigint; firstOffset: number }[]): Promise<string[]> =>
      (await decodeBatches(Buffer.concat(batches), 10, 19, aborted)).map(textOf)
    expect(await values([{ producerId: 1n, firstOffset: 10 }])).toEqual(['b0', 'b1', 'c0', 'd0'])
    expect(
      await values([
        { producerId: 1n, firstOffset: 3 },
        { producerId: 2n, firstOffset: 4 },
      ]),
    ).toEqual(['c0', 'd0'])
  })

  it('a batch that compaction emptied, and one whose last records it removed', async () => {
    expect(await seen([batchOf('a', 2), batchOf('', 0, { base: 2, lastOffsetDelta: 4, records: 0 })])).toEqual([
      [0, 'a0'],
      [1, 'a1'],
      [6, { first: 2, last: 6, why: null }],
    ])
    expect(await seen([batchOf('a', 2, { lastOffsetDelta: 9 })])).toEqual([
      [0, 'a0'],
      [1, 'a1'],
      [9, { first: 2, last: 9, why: null }],
    ])
    expect(await seen([batchOf('a', 2, { lastOffsetDelta: 9 })], 5)).toEqual([[9, { first: 5, last: 9, why: null }]])
  })

  it('nothing is told of a batch that the broker cut to its answer, nor of one that was asked for in its middle', async () => {
    expect(await seen([batchOf('a', 2), batchOf('b', 2, { base: 2 }).subarray(0, -1)])).toEqual([
      [0, 'a0'],
      [1, 'a1'],
    ])
    expect(await seen([batchOf('a', 4)], 2)).toEqual([
      [2, 'a2'],
      [3, 'a3'],
    ])
  })

  it('a batch with more records than a call takes arguments', async () => {
    expect((await decoded([batchOf('a', 200_000)])).length).toBe(200_000)
  })
})

it('whatever happens to the bytes of a fetch, it ends, forward, within what the partition holds', async () => {
  let random = 7
  const next = (below: number): number => (random = (random * 48_271) % 2_147_483_647) % below
  const plain = batchOf('a', 20)
  const whole = [
    plain,
    ...compressors.map(([, codec, compress], n) =>
      changed(plain, { base: 20 * (n + 1), attributes: codec, payload: compress(plainOf(plain)) }),
    ),
  ]
  const end = 20 * whole.length
  for (let run = 0; run < 1_000; run++) {
    let bytes = Buffer.concat(whole)
    for (let flips = 1 + next(6); flips > 0; flips--) bytes[next(bytes.length)]! ^= 1 << next(8)
    if (next(3) === 0) bytes = bytes.subarray(0, next(bytes.length))
    // Half of them with right checksums, so that what is behind is met too.
    if (next(2) === 0) {
      for (let at = 0; at + 61 <= bytes.length; ) {
        const size = bytes.readInt32BE(at + 8) + 12
        if (size < 61 || at + size > bytes.length) break
        bytes.writeUInt32BE(crc32c(bytes, at + 21, at + size), at + 17)
        at += size
      }
    }
    // The old formats are the client's.
    if (bytes.length > 16 && bytes[16]! < 2) continue
    const from = next(end)
    const messages = await decodeBatches(bytes, from, end, [])
    let before = from - 1
    expect(messages.length === 0 || Number(messages.at(-1)!.offset) <= end + 1_000_000).toBe(true)
    for (const { offset } of messages) {
      expect(Number(offset)).toBeGreaterThan(before)
      before = Number(offset)
    }
  }
})
