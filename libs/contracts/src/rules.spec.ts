// What may enter: the edges of every rule, and that a value which passes fits the database behind.
import fc from 'fast-check'
import { sequenceIdOf } from './ids'
import {
  cancelProblem,
  commandProblem,
  engagementProblem,
  instantProblem,
  int4Problem,
  latestInstant,
  maxRecordBytes,
  recordBytes,
  sendProblem,
  sizeProblem,
  textProblem,
} from './rules'

const send = {
  workspaceId: 'demo',
  sendId: 's',
  userId: 'u',
  templateId: 't',
  templateVersion: null,
  campaignId: null,
  variables: {},
  tag: null,
  source: null,
  requestedAt: Date.UTC(2026, 0, 1),
}
const report = {
  workspaceId: 'demo',
  messageId: `${sequenceIdOf('demo', 's', 'u')}.1.push`,
  kind: 'delivered' as const,
  occurredAt: Date.UTC(2026, 0, 1),
  source: 'client',
  reason: null,
  providerMessageId: null,
  detail: {},
}
const cancel = {
  cancelId: 'c',
  workspaceId: 'demo',
  scope: 'send' as const,
  id: 's',
  requestedBy: 'ops',
  requestedAt: Date.UTC(2026, 0, 1),
}

it('takes what is as it should be', () => {
  expect([sendProblem(send), engagementProblem(report), cancelProblem(cancel)]).toEqual([null, null, null])
})

it('a text without NUL and without half a pair is taken, and comes back from UTF-8 as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(textProblem(text) === null).toBe(!text.includes('\0') && Buffer.from(text).toString() === text)
    }),
  )
  for (const half of ['Ann \ud83d', '\udc4b', 'a\ud800b']) expect(textProblem(half)).toMatch(/half/)
})

it.each([
  ['variables: a value', { variables: { a: 'x\0' } }],
  ['variables: a name', { variables: { 'a\0': 'x' } }],
  ['tag', { tag: 'a\0' }],
  ['variables: half a pair', { variables: { a: '\ud83d' } }],
  ['sendId', { sendId: 'a\ud800b' }],
  ['userId', { userId: 'a\0' }],
  ['templateVersion', { templateVersion: 2_147_483_648 }],
  ['templateVersion', { templateVersion: 0 }],
])('a send is refused for its %s', (_, change) => {
  expect(sendProblem({ ...send, ...change })).toMatchObject({ reason: 'invalid_send' })
})

it.each([
  ['a key of detail', { detail: { 'a\0': 'b' } }],
  ['a value of detail', { detail: { a: 'b\0' } }],
  ['reason', { reason: '\0' }],
  ['source', { source: 'x\ud800' }],
  ['providerMessageId', { providerMessageId: '\0' }],
  ['workspaceId', { workspaceId: 'A B' }],
])('an engagement is refused for %s', (_, change) => {
  expect(engagementProblem({ ...report, ...change })).toMatchObject({ reason: 'invalid_engagement' })
})

it.each([
  ['requestedBy', { requestedBy: 'a\0b' }],
  ['id', { id: '\0' }],
  ['cancelId', { cancelId: '' }],
])('a cancel is refused for its %s', (field, change) => {
  expect(cancelProblem({ ...cancel, ...change })).toMatchObject({ reason: 'invalid_cancel', detail: expect.stringContaining(field) })
})

it('times outside 1970 to 2199 are refused by a reason of their own: microseconds, before year 1, beyond a Date', () => {
  for (const ms of [Date.UTC(2026, 0, 1) * 1_000, -6.3e13, 8.9e15, 9e15, -1, latestInstant, NaN, Infinity]) {
    expect(instantProblem(ms)).not.toBeNull()
    expect(sendProblem({ ...send, requestedAt: ms })?.reason).toBe('invalid_time')
    expect(engagementProblem({ ...report, occurredAt: ms })?.reason).toBe('invalid_time')
    expect(cancelProblem({ ...cancel, requestedAt: ms })?.reason).toBe('invalid_time')
  }
  for (const ms of [0, 1, latestInstant - 1]) expect([instantProblem(ms), sendProblem({ ...send, requestedAt: ms })]).toEqual([null, null])
})

it("whole numbers are the database's", () => {
  expect([int4Problem(2_147_483_647), int4Problem(2_147_483_648) !== null, int4Problem(1.5) !== null, int4Problem(NaN) !== null]).toEqual([
    null,
    true,
    true,
    true,
  ])
})

it('a record is measured with its key and all its headers', () => {
  const value = Buffer.alloc(1_000)
  expect(
    recordBytes({ key: Buffer.alloc(10), value, headers: { a: Buffer.alloc(100), b: ['x', Buffer.alloc(5)], c: undefined } }),
  ).toBeGreaterThan(1_110)
  expect(sizeProblem({ key: null, value, headers: {} })).toBeNull()
  expect(sizeProblem({ key: null, value, headers: { big: Buffer.alloc(maxRecordBytes) } })).toMatchObject({ reason: 'too_large' })
  expect(sizeProblem({ key: Buffer.alloc(maxRecordBytes), value, headers: {} })).toMatchObject({ reason: 'too_large' })
  // Its size in the batch only says it sooner: headers count more than they have there.
  const many = Object.fromEntries(Array.from({ length: 25_000 }, (_, n) => [String(n), null]))
  expect(sizeProblem({ key: null, value, headers: many, bytes: 25_000 * 7 })).toMatchObject({ reason: 'too_large' })
  const empty = Object.fromEntries(Array.from({ length: 13_000 }, (_, n) => [String(n), null]))
  expect(sizeProblem({ key: null, value: null, headers: empty, bytes: 13_000 * 7 })).toBeNull()
  // What we have put to it ourselves is not the producer's.
  expect(sizeProblem({ key: Buffer.alloc(100), value: Buffer.alloc(maxRecordBytes), headers: {} }, 100)).toBeNull()
  expect(sizeProblem({ key: Buffer.alloc(101), value: Buffer.alloc(maxRecordBytes), headers: {} }, 100)).toMatchObject({
    reason: 'too_large',
  })
})

const sequenceId = sequenceIdOf('demo', 's', 'u')
const command = {
  action: 'send' as const,
  workspaceId: 'demo',
  messageId: `${sequenceId}.1.push`,
  sequenceId,
  sendId: 's',
  step: 1,
  channelType: 'push',
  userId: 'u',
  templateId: 't',
  templateVersion: 1,
  campaignId: null,
  variables: { a: 'b' },
  commandedAt: Date.UTC(2026, 0, 1),
  expiresAt: Date.UTC(2026, 0, 1),
  windowMs: 1_000,
}

it.each([
  ['messageId', { messageId: 'nonsense' }],
  ['another step', { step: 2 }],
  ['another sequence', { sequenceId: sequenceIdOf('demo', 's', 'v') }],
  ['userId', { userId: 'x'.repeat(300_000) }],
  ['templateId', { templateId: 'x'.repeat(64 * 1024) }],
  ['templateVersion', { templateVersion: 0 }],
  ['windowMs', { windowMs: 9_223_372_036_854_775_807 }],
  ['windowMs', { windowMs: -1 }],
  ['a variable', { variables: { a: '\0' } }],
])('a command is refused for %s', (_, change) => {
  expect(commandProblem(command, 'push')).toBeNull()
  expect(commandProblem({ ...command, ...change }, 'push')).toMatchObject({ reason: 'invalid_command' })
})

it.each(['commandedAt', 'expiresAt'])('a command is refused for a time nobody can keep: %s', (field) => {
  for (const ms of [-1, 9e15, latestInstant]) expect(commandProblem({ ...command, [field]: ms }, 'push')?.reason).toBe('invalid_time')
})

it.each([{ channelType: 'sms' }, { messageId: `${sequenceId}.1.sms` }])('a command of another channel is refused: %j', (change) => {
  expect(commandProblem({ ...command, ...change }, 'push')).toMatchObject({ reason: 'wrong_channel' })
})
