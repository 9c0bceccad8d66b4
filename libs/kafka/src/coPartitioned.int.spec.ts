// Which member of a group gets which partitions, as the broker tells it, while members come and go.
import { AssignerProtocol } from 'kafkajs'
import { topics } from '@stepcast/contracts'
import { eventually, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { Mailboxes } from './mailboxes'

const sends = topics.sends.name
const engagements = topics.engagements.name
const groupId = 'co-partitioned'

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())

/** A member that keeps count of what it has been given. */
async function join(): Promise<{ owned: Set<number>; mailboxes: Mailboxes }> {
  const owned = new Set<number>()
  const mailboxes = new Mailboxes(stack.connection(), {
    topics: [sends, engagements],
    groupId,
    takeOver: async (partition) => {
      owned.add(partition)
      return { [sends]: 0, [engagements]: 0 }
    },
    arrived: () => {},
    lost: (partition) => void owned.delete(partition),
  })
  await mailboxes.open()
  return { owned, mailboxes }
}

/** Partitions of each topic by member, once the group is stable with so many members. */
async function assignments(members: number): Promise<{ ofSends: number[]; ofEngagements: number[] }[]> {
  const connection = stack.connection()
  const admin = await connection.admin()
  const described = await eventually(async () => {
    const group = (await admin.describeGroups([connection.physical(groupId)])).groups[0]!
    return group.state === 'Stable' && group.members.length === members ? group.members : null
  })
  await connection.close()
  return described.map(({ memberAssignment }) => {
    const assignment = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {}
    return { ofSends: assignment[connection.physical(sends)] ?? [], ofEngagements: assignment[connection.physical(engagements)] ?? [] }
  })
}

it('partition p of sends and engagements belongs to one and the same member, through every join and leave', async () => {
  const everything = Array.from({ length: specPartitions }, (_, partition) => partition)
  const present: Awaited<ReturnType<typeof join>>[] = []
  const expectCoPartitioned = async (): Promise<void> => {
    const given = await assignments(present.length)
    for (const { ofSends, ofEngagements } of given) expect(ofSends).toEqual(ofEngagements)
    expect(given.flatMap(({ ofSends }) => ofSends).sort()).toEqual(everything)
    // What the members believe is what the broker says.
    await eventually(
      () =>
        present
          .flatMap(({ owned }) => [...owned])
          .sort()
          .join() === everything.join(),
    )
    // With enough partitions nobody stands idle; with more members than partitions the rest wait.
    expect(present.filter(({ owned }) => owned.size > 0)).toHaveLength(Math.min(present.length, specPartitions))
  }
  for (let count = 1; count <= specPartitions + 1; count++) {
    present.push(await join())
    await expectCoPartitioned()
  }
  // The first to come are the first to go: every partition changes hands.
  while (present.length > 1) {
    await present.shift()!.mailboxes.close()
    await expectCoPartitioned()
  }
  await present[0]!.mailboxes.close()
})
