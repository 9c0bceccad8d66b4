import { freeIdProblem, messageIdOf, parseMessageId, partitionOf, sendIdOf, sequenceIdOf } from './ids'

describe('the published vectors', () => {
  it.each([
    ['demo', 'send-1', 'user-1', '623f8d79-cdc6-5760-8ab0-ef346563ba6c', 7],
    ['demo', 'order 42/a', '사용자-7', '4637081e-b8f1-50f0-9a29-4b98c611ad60', 11],
    ['w', 's', 'u', '58cafb83-fe3b-54e4-a91d-3c1aa1b72e3e', 3],
  ])('sequenceId of (%s, %s, %s)', (workspaceId, sendId, userId, sequenceId, home) => {
    expect(sequenceIdOf(workspaceId, sendId, userId)).toBe(sequenceId)
    expect(partitionOf(sequenceId, 12)).toBe(home)
  })
})

it('the same Idempotency-Key makes the same send, no key a new one', () => {
  expect(sendIdOf('demo', 'k1')).toBe(sendIdOf('demo', 'k1'))
  expect(sendIdOf('demo', 'k1')).not.toBe(sendIdOf('other', 'k1'))
  expect(sendIdOf('demo', null)).not.toBe(sendIdOf('demo', null))
})

it('a messageId comes apart into what it was made of, and nothing else is one', () => {
  const sequenceId = sequenceIdOf('w', 's', 'u')
  expect(parseMessageId(messageIdOf(sequenceId, 2, 'push'))).toEqual({ sequenceId, step: 2, channelType: 'push' })
  for (const wrong of ['', 'x.1.push', `${sequenceId}.0.push`, `${sequenceId}.1.fax`, `${sequenceId}.1.push.x`])
    expect(parseMessageId(wrong)).toBeNull()
})

it('ids of producers are refused when empty, too long or holding control characters', () => {
  expect(freeIdProblem('order 42/a')).toBeNull()
  for (const wrong of ['', 'a'.repeat(129), 'a\nb', '\u0085']) expect(freeIdProblem(wrong)).toMatch(/1 to 128/)
})
