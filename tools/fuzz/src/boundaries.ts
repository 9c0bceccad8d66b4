// Where the types of Avro, JavaScript and PostgreSQL end: every field of a record, and what is put there instead.
import { Entries, namedIn, Place, resolved, type Named, type Schema } from '@stepcast/chaos'

/** One field replaced: where, and the record with it. */
export interface FieldMutation {
  readonly path: string
  readonly value: unknown
}

const day = 86_400_000

/** Whole numbers at which somebody's range ends. */
const numbers = (now: number): readonly (number | bigint)[] => [
  0,
  -1,
  1,
  2_147_483_647,
  2_147_483_648,
  -2_147_483_648,
  -2_147_483_649,
  Number.MAX_SAFE_INTEGER,
  9_007_199_254_740_993n,
  9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_808n,
  8.64e15,
  8.9e15,
  9e15,
  -9e15,
  -6.3e13,
  // Seconds and microseconds instead of milliseconds; the ends of year 0, 1969, 2199 and 9999.
  Math.trunc(now / 1_000),
  now * 1_000,
  -62_167_219_200_000,
  -62_167_219_200_001,
  -1_000,
  Date.UTC(2200, 0, 1),
  Date.UTC(2200, 0, 1) - 1,
  253_402_300_800_000,
]

/** Times around now, by the clock of a producer that is off. */
export const clocks = (now: number): readonly number[] =>
  [
    -100 * 365 * day,
    -10 * 365 * day,
    -365 * day,
    -day,
    -3_600_000,
    -120_000,
    120_000,
    3_600_000,
    day,
    365 * day,
    10 * 365 * day,
    100 * 365 * day,
  ].map((by) => now + by)

/** Texts that have broken something somewhere. */
export const texts: readonly (string | Buffer)[] = [
  '',
  ' ',
  'a\0b',
  '\0',
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from('61eda08062', 'hex'),
  Buffer.from('edb080', 'hex'),
  Buffer.from('c080', 'hex'),
  Buffer.from('f4908080', 'hex'),
  'x'.repeat(128),
  'x'.repeat(129),
  '👋'.repeat(128),
  '__proto__',
  'constructor',
  'toString',
  'null',
  '\n',
  '\u202e',
  '\u0085',
  "'; --",
  '{"a":',
  '[]',
  '"',
  '{"__proto__":{}}',
  '../..',
  '%00',
  '{{orderNo}}',
  'Ann \u{1f44b}',
  'é'.normalize('NFD'),
  'x'.repeat(64 * 1024),
  'x'.repeat(65 * 1024),
  'x'.repeat(250_000),
  'x'.repeat(300_000),
]

const maps: readonly Entries[] = [
  new Entries([]),
  new Entries([['__proto__', 'x']]),
  new Entries([['a\0b', 'c']]),
  new Entries([['a', 'b\0c']]),
  new Entries([[Buffer.from([0xff]), 'x']]),
  new Entries([['a', Buffer.from('eda080', 'hex')]]),
  new Entries([
    ['orderNo', '1'],
    ['orderNo', '2'],
  ]),
  new Entries([['', '']]),
  new Entries(Array.from({ length: 10_000 }, (_, index) => [`n${index}`, 'x'] as const)),
  new Entries([['orderNo', 'x'.repeat(64 * 1024 - 7)]]),
  new Entries([['orderNo', 'x'.repeat(64 * 1024 - 6)]]),
  new Entries([['orderNo', 'x'.repeat(250_000)]]),
  new Entries([['x'.repeat(100_000), 'x']]),
]

/** Every field of a record replaced by every boundary value of its type, one at a time. */
export function fieldMutations(schema: Schema, value: unknown, now: number): FieldMutation[] {
  return within(schema, value, now, '', namedIn(schema))
}

function within(schema: Schema, value: unknown, now: number, path: string, named: Named): FieldMutation[] {
  const type = resolved(schema, named)
  const all = (values: readonly unknown[]): FieldMutation[] => values.map((one, index) => ({ path: `${path}#${index}`, value: one }))
  if (Array.isArray(type)) return ofUnion(type as readonly Schema[], value, now, path, named, all)
  if (typeof type === 'string') return type === 'string' ? all(texts) : type === 'int' || type === 'long' ? all(numbers(now)) : []
  const { type: kind, fields = [], items } = type as { type: string; fields?: readonly { name: string; type: Schema }[]; items?: Schema }
  switch (kind) {
    case 'record': {
      const record = value as Record<string, unknown>
      return fields.flatMap((field) =>
        within(field.type, record[field.name], now, `${path}.${field.name}`, named).map((mutation) => ({
          path: mutation.path,
          value: { ...record, [field.name]: mutation.value },
        })),
      )
    }
    case 'enum':
      return all([new Place(-1), new Place(99), new Place(1)])
    case 'map':
      return all(maps)
    case 'array': {
      const list = value as readonly unknown[]
      const elements = list.flatMap((one, index) =>
        within(items!, one, now, `${path}[${index}]`, named).map((mutation) => ({
          path: mutation.path,
          value: list.map((other, at) => (at === index ? mutation.value : other)),
        })),
      )
      return [...all([[], Array.from({ length: 300 }, () => list[0]), [...list].reverse()]), ...elements]
    }
  }
  return []
}

function ofUnion(
  branches: readonly Schema[],
  value: unknown,
  now: number,
  path: string,
  named: Named,
  all: (values: readonly unknown[]) => FieldMutation[],
): FieldMutation[] {
  const wrong = all([...(branches[0] === 'null' ? [new Place(0)] : []), new Place(branches.length), new Place(-1)])
  const tag = (value as { type?: string } | null | undefined)?.type
  const index = branches.findIndex((branch) =>
    tag === undefined ? branch !== 'null' : typeof branch === 'object' && (branch as { name?: string }).name === tag,
  )
  const inside = within(branches[index]!, value ?? sampleOf(branches[index]!), now, path, named)
  // A value put into a branch that was null names its branch, so that it stays what it is.
  return [...wrong, ...inside.map((mutation) => ({ path: mutation.path, value: new Place(index, mutation.value) }))]
}

const sampleOf = (branch: Schema): unknown => (branch === 'string' ? '' : 0)
