import type { IHeaders } from 'kafkajs'
import { decodeBatches } from './fetchedBatches'
import { RecordBatch } from './recordBatch'

const headersIn = async (bytes: Buffer): Promise<IHeaders[]> => (await decodeBatches(bytes, 0, 1_000, [])).map(({ headers }) => headers!)

it('the client gives records with their headers as they were written', async () => {
  const batch = RecordBatch.begin(64)
  const value = Buffer.from('v')
  batch.add('a', value, 0, 1, {})
  batch.add('b', value, 0, 1, { ce_id: '1', 'content-type': 'x', 이름: 'é' })
  batch.add('c', value, 0, 1, { twice: ['1', '2', '3'], empty: '', bytes: Buffer.from([0, 255]), nothing: null })
  const bytes = batch.finish(5)
  expect(await headersIn(bytes)).toEqual([
    {},
    { ce_id: Buffer.from('1'), 'content-type': Buffer.from('x'), 이름: Buffer.from('é') },
    { twice: [Buffer.from('1'), Buffer.from('2'), Buffer.from('3')], empty: Buffer.alloc(0), bytes: Buffer.from([0, 255]), nothing: null },
  ])
  expect((await decodeBatches(bytes, 0, 3, [])).map(({ key, timestamp, offset }) => [String(key), timestamp, offset])).toEqual([
    ['a', '5', '0'],
    ['b', '5', '1'],
    ['c', '5', '2'],
  ])
})

it('each name is read as it is, seen before or not: of one length, many, long, empty, not ASCII', async () => {
  const value = Buffer.from('v')
  const names = [
    'ce_type',
    'ce_time',
    'xe_type',
    'é'.repeat(3),
    'abcdef',
    '',
    'n'.repeat(64),
    'n'.repeat(65),
    ...Array.from({ length: 40 }, (_, n) => `n-${n + 10}`),
  ]
  for (let again = 0; again < 2; again++) {
    const batch = RecordBatch.begin(64)
    for (const name of names) batch.add('k', value, 0, 1, { [name]: name })
    expect(await headersIn(batch.finish(5))).toEqual(names.map((name) => ({ [name]: Buffer.from(name) })))
  }
})

it('a header called as what objects have comes through as it is, and can be written again', async () => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty']
  const value = Buffer.from('v')
  const written = RecordBatch.begin(64)
  // A computed name makes `__proto__` a field like any other.
  for (const name of names) written.add('k', value, 0, 1, { [name]: name })
  written.add('k', value, 0, 1, { constructor: ['1', '2'], ['__proto__']: ['3', '4'] })
  const fields = async (bytes: Buffer): Promise<[string, unknown][][]> => (await headersIn(bytes)).map((headers) => Object.entries(headers))
  const expected = [
    ...names.map((name) => [[name, Buffer.from(name)]]),
    [
      ['constructor', [Buffer.from('1'), Buffer.from('2')]],
      ['__proto__', [Buffer.from('3'), Buffer.from('4')]],
    ],
  ]
  expect(await fields(written.finish(5))).toEqual(expected)

  const again = RecordBatch.begin(64)
  for (const headers of await headersIn(written.finish(5))) again.add('k', value, 0, 1, headers as Record<string, Buffer | Buffer[]>)
  expect(await fields(again.finish(5))).toEqual(expected)
})
