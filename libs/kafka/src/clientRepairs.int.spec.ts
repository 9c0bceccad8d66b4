// What the client's own classes do after our repairs, on a real broker whose connections are cut.
import net from 'node:net'
import { topics } from '@stepcast/contracts'
import { eventually, specStack, type SpecStack } from '@stepcast/testing'
import { Mailboxes } from './mailboxes'

const sends = topics.sends.name
const joinGroup = 11

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(async () => {
  jest.restoreAllMocks()
  await stack.stop()
})

/** The connection of the next so many requests of this kind breaks as they are sent. */
function breakAt(apiKey: number, times: number): { readonly left: () => number } {
  let left = times
  const write = net.Socket.prototype.write
  jest.spyOn(net.Socket.prototype, 'write').mockImplementation(function (this: net.Socket, ...sent: unknown[]): boolean {
    const [bytes] = sent
    if (
      left > 0 &&
      Buffer.isBuffer(bytes) &&
      bytes.length > 8 &&
      bytes.readInt16BE(4) === apiKey &&
      bytes.readInt32BE(0) === bytes.length - 4
    ) {
      left--
      this.destroy(new Error('cut'))
      return false
    }
    return (write as (...all: unknown[]) => boolean).apply(this, sent)
  })
  return { left: () => left }
}

/** Strikes a member from its group, as a coordinator does that has not heard of it for long. */
async function forget(groupId: string, memberId: string): Promise<void> {
  const { brokers } = await (stack.connection() as unknown as { adminWithBrokers(): Promise<{ brokers: unknown }> }).adminWithBrokers()
  const { cluster } = brokers as {
    cluster: { findGroupCoordinator(group: object): Promise<{ leaveGroup(member: object): Promise<void> }> }
  }
  await (await cluster.findGroupCoordinator({ groupId })).leaveGroup({ groupId, memberId })
}

it('a consumer that its group has forgotten, and whose connection breaks as it joins anew, joins again', async () => {
  const joins: number[] = []
  const connection = stack.connection()
  const mailboxes = new Mailboxes(connection, {
    topics: [sends],
    groupId: 'forgotten',
    takeOver: async () => ({ [sends]: 0 }),
    arrived: () => {},
    lost: () => {},
    joined: (partitions) => void joins.push(partitions),
  })
  let memberId = ''
  const made = jest.spyOn(connection, 'consumer')
  await mailboxes.open()
  const consumer = made.mock.results[0]!.value as ReturnType<typeof connection.consumer>
  consumer.on(consumer.events.HEARTBEAT, ({ payload }) => void (memberId = payload.memberId))
  await eventually(() => memberId !== '')
  expect(joins).toHaveLength(1)
  const broken = breakAt(joinGroup, 1)
  await forget(connection.physical('forgotten'), memberId)
  await eventually(() => broken.left() === 0)
  await eventually(() => joins.length === 2, { withinMs: 15_000 })
  await mailboxes.close()
})
