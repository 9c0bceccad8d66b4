// What a turn takes while a question is open: nothing that can go on waits for what cannot, and nothing is asked or put aside twice.
import { topics } from '@stepcast/contracts'
import type { RawIncoming } from '@stepcast/kafka'
import type { Report, StartRequest } from './intake'
import { everything, nothing } from './suspicion'
import { Taking, type Firing } from './taking'

const recordAt = (topic: string, offset: number): RawIncoming => ({
  topic,
  partition: 0,
  offset,
  key: null,
  value: null,
  headers: {},
  timestamp: 0,
})

/** A partition whose mailboxes, questions and timers the spec holds in its hands. */
class World {
  readonly waiting = { [topics.sends.name]: [] as RawIncoming[], [topics.engagements.name]: [] as RawIncoming[] }
  readonly taken: string[] = []
  channel = 'in_app'
  kind: Report['report']['kind'] = 'viewed'
  template: Promise<void> = Promise.resolve()
  users: Promise<void> = Promise.resolve()
  asked = 0
  firing: Firing | null = null
  reconsiders = false
  at = { sendsOffset: 0, engagementsOffset: 0 }

  readonly taking = new Taking({
    partition: 0,
    intake: {
      sends: async (_, records) => {
        if (records.length > 0) this.taken.push(`sends ${records.map(({ offset }) => offset).join()}`)
        if (records.length > 0) await this.template
        const template = { config: { sequenceEnabled: true, sequence: { steps: [{ channels: [this.channel] }] } }, channels: [] }
        return records.map((record) => ({ record, template, sequenceId: String(record.offset) }) as unknown as StartRequest)
      },
      engagements: async (_, records) => {
        if (records.length > 0) this.taken.push(`engagements ${records.map(({ offset }) => offset).join()}`)
        return records.map((record) => ({ record, report: { kind: this.kind } }) as unknown as Report)
      },
    },
    peek: (topic) => {
      const records = this.waiting[topic]!.slice()
      const at = topic === topics.sends.name ? this.at.sendsOffset : this.at.engagementsOffset
      return { records, nextOffset: records.length === 0 ? at : records[records.length - 1]!.offset + 1 }
    },
    usersCaughtUp: () => {
      this.asked++
      return this.users
    },
  })

  arrive(topic: { name: string }, ...offsets: number[]): void {
    this.waiting[topic.name]!.push(...offsets.map((offset) => recordAt(topic.name, offset)))
  }

  async take() {
    const { starts, reports, knowsQuietHours, waits, firing, reconsiders, ...reached } = await this.taking.take(
      this.at,
      everything,
      { ...nothing },
      () => this.firing,
      this.reconsiders,
    )
    return {
      sends: starts.map(({ record }) => record.offset),
      engagements: reports.map(({ record }) => record.offset),
      knowsQuietHours,
      waits,
      fires: firing !== null,
      reconsiders,
      reached,
      commit: () => {
        this.at = reached
        for (const [topic, offset] of [
          [topics.sends.name, reached.sendsOffset],
          [topics.engagements.name, reached.engagementsOffset],
        ] as const) {
          this.waiting[topic] = this.waiting[topic]!.filter((record) => record.offset >= offset)
        }
        this.taking.done(reached)
      },
    }
  }
}

function open(): { promise: Promise<void>; answer: () => void } {
  let answer!: () => void
  const promise = new Promise<void>((resolve) => (answer = resolve))
  return { promise, answer }
}

it('receipts and timers do not wait for a template; its sends come with a later turn, taken once', async () => {
  const world = new World()
  const template = open()
  world.template = template.promise
  world.arrive(topics.sends, 0, 1)
  world.arrive(topics.engagements, 0)
  const first = await world.take()
  expect(first).toMatchObject({ sends: [], engagements: [0], waits: true, reached: { sendsOffset: 0, engagementsOffset: 1 } })
  first.commit()
  world.arrive(topics.engagements, 1)
  world.firing = { from: 0, upTo: 1, note: null }
  const second = await world.take()
  expect(second).toMatchObject({ sends: [], engagements: [1], fires: true, knowsQuietHours: true })
  second.commit()
  template.answer()
  const third = await world.take()
  expect(third).toMatchObject({ sends: [0, 1], engagements: [], waits: false, reached: { sendsOffset: 2 } })
  third.commit()
  expect(world.taken).toEqual(['sends 0,1', 'engagements 0', 'engagements 1'])
})

it('what arrives while only a template is waited for is taken, though there was nothing before', async () => {
  const world = new World()
  world.template = open().promise
  world.arrive(topics.sends, 0)
  expect(await world.take()).toMatchObject({ sends: [], engagements: [], waits: true })
  world.arrive(topics.engagements, 0)
  expect(await world.take()).toMatchObject({ sends: [], engagements: [0], waits: true })
})

it.each([
  ['sends that begin in the feed', 'in_app', 'viewed', 0],
  ['sends that begin with a push', 'push', 'viewed', 1],
  ['a failure', 'in_app', 'failed', 1],
  ['a skip', 'in_app', 'skipped', 1],
] as const)('quiet hours are asked for where somebody may be disturbed: %s', async (_, channel, kind, asked) => {
  const world = new World()
  Object.assign(world, { channel, kind })
  world.arrive(topics.sends, 0, 1, 2)
  world.arrive(topics.engagements, 0)
  expect(await world.take()).toMatchObject({ sends: [0, 1, 2], engagements: [0], knowsQuietHours: asked === 1 })
  expect(world.asked).toBe(asked)
})

it('while they are not known nothing is taken that may disturb, so cancels and other receipts go ahead; one question serves until something new is taken', async () => {
  const world = new World()
  world.channel = 'push'
  const users = open()
  world.users = users.promise
  world.arrive(topics.sends, 0)
  for (let n = 0; n < 3; n++) {
    expect(await world.take()).toMatchObject({
      sends: [],
      engagements: [],
      fires: false,
      waits: true,
      reached: { sendsOffset: 0, engagementsOffset: 0 },
    })
  }
  expect(world.asked).toBe(1)
  world.arrive(topics.engagements, 0)
  const receipts = await world.take()
  expect(receipts).toMatchObject({
    sends: [],
    engagements: [0],
    fires: false,
    waits: true,
    reached: { sendsOffset: 0, engagementsOffset: 1 },
  })
  // Taken after the question was asked: it was not asked for them.
  expect(world.asked).toBe(2)
  receipts.commit()
  world.kind = 'failed'
  world.arrive(topics.engagements, 1)
  expect(await world.take()).toMatchObject({ sends: [], engagements: [], reached: { sendsOffset: 0, engagementsOffset: 1 } })
  expect(world.asked).toBe(3)
  world.firing = { from: 0, upTo: 5, note: null }
  await world.take()
  expect(world.asked).toBe(4)
  users.answer()
  expect(await world.take()).toMatchObject({ sends: [0], engagements: [1], fires: true, knowsQuietHours: true, waits: false })
  expect(world.asked).toBe(4)
  expect(world.taken).toEqual(['sends 0', 'engagements 0', 'engagements 1'])
})

it('a failure of a question is the turn’s, and after it everything is read anew', async () => {
  const world = new World()
  world.template = Promise.reject(new Error('no registry'))
  world.arrive(topics.sends, 0)
  await expect(world.take()).rejects.toThrow('no registry')
  world.template = Promise.resolve()
  world.taking.forget()
  expect(await world.take()).toMatchObject({ sends: [0], waits: false })
})

it('whose quiet hours have changed is judged when it is known what they are now; receipts go on meanwhile', async () => {
  const world = new World()
  const users = open()
  world.users = users.promise
  world.reconsiders = true
  world.arrive(topics.engagements, 0)
  const first = await world.take()
  expect(first).toMatchObject({ engagements: [0], reconsiders: false, knowsQuietHours: false, waits: true })
  first.commit()
  users.answer()
  expect(await world.take()).toMatchObject({ reconsiders: true, knowsQuietHours: true, waits: false })
})
