import { mustBeOurs, WrongCluster, type Bounds } from './cluster'
import type { Cursor } from './sql/cursor'

const cursor: Cursor = { clusterId: 'ours', ownerEpoch: 1, sendsOffset: 10, engagementsOffset: 20, logPosition: 0, publishedPosition: 0 }
const bounds = (sends: number, engagements: number): Bounds => ({
  sends: { low: 0, end: sends },
  engagements: { low: 0, end: engagements },
})
const judge = (first: Bounds, now: Bounds, clusterId = 'ours'): Promise<void> => mustBeOurs(cursor, clusterId, 3, first, async () => now)

it('a cursor at the end or before it is of this cluster', () => expect(judge(bounds(10, 21), bounds(0, 0))).resolves.toBeUndefined())

it('the end was asked for before somebody else read on: it is asked for once more', async () => {
  await judge(bounds(9, 20), bounds(10, 20))
  await judge(bounds(10, 19), bounds(12, 20))
})

it.each([
  [bounds(9, 20), /partition 3 of stepcast\.sends\.v1 ends at 9, but was read to 10/],
  [bounds(10, 19), /partition 3 of stepcast\.engagements\.v1 ends at 19, but was read to 20/],
])('a cursor past the end is of another cluster, or the cluster has lost records', async (now, what) => {
  await expect(judge(bounds(0, 0), now)).rejects.toThrow(what)
  await expect(judge(bounds(0, 0), now)).rejects.toBeInstanceOf(WrongCluster)
})

it('another identity is another cluster', () =>
  expect(judge(bounds(10, 20), bounds(10, 20), 'theirs')).rejects.toThrow(/filled from Kafka cluster ours, this is cluster theirs/))
