// Cancels first: a partition that is taken over begins when what was on the topic of the controls is taken up, and not for ever later.
import { CancelsFirst } from './controls'

const bounds = new Map([
  [0, { low: 0, end: 7 }],
  [1, { low: 3, end: 3 }],
  [2, { low: 0, end: 0 }],
])

function kafka(committed: () => ReadonlyMap<number, number>) {
  const asked = { offsets: 0 }
  const warned: unknown[] = []
  return {
    asked,
    warned,
    connection: {
      offsets: async () => (asked.offsets++, bounds),
      committed: async () => committed(),
      log: { warn: (fields: unknown) => warned.push(fields) } as never,
    },
  }
}

it('waits for what was there, partition by partition, and for nothing that retention has emptied', async () => {
  let at = 3
  const { connection, warned } = kafka(() => new Map([[0, at]]))
  let done = false
  const waiting = new CancelsFirst(connection).takenUp().then(() => (done = true))
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(done).toBe(false)
  at = 7
  await waiting
  expect(warned).toEqual([])
})

it('partitions that are taken over together ask once', async () => {
  const { connection, asked } = kafka(() => new Map([[0, 7]]))
  const first = new CancelsFirst(connection)
  await Promise.all([first.takenUp(), first.takenUp(), first.takenUp()])
  expect(asked.offsets).toBe(1)
})

it('a reader of the controls that stands still holds partitions up for a while only, and it is said', async () => {
  const { connection, warned } = kafka(() => new Map())
  await new CancelsFirst(connection, 200).takenUp()
  expect(warned).toEqual([{ topic: 'stepcast.controls.v1', behind: [0] }])
})
