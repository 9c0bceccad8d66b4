// The probe must ask the coordinator of every partition, or a group of the unasked one would meet "loading".
import { groupPerPartition } from './brokerProbe'

describe('the groups the probe asks for', () => {
  it('cover every partition once, by the hash that the broker uses', () => {
    const groups = groupPerPartition(8)
    // Java's "stepcast-probe-0".hashCode() and its neighbours differ by one, so eight neighbours cover eight partitions.
    expect([...groups].sort()).toEqual(Array.from({ length: 8 }, (_, number) => `stepcast-probe-${number}`))
    expect(new Set(groups).size).toBe(8)
  })
})
