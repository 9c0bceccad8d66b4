// The answers to commands, one rule a test.
import type { DispatchStep } from '@stepcast/contracts'
import { answerTo, type Known } from './answer'

const now = 1_000_000
const sequenceId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c'
const command: DispatchStep = {
  action: 'send',
  workspaceId: 'demo',
  messageId: `${sequenceId}.1.in_app`,
  sequenceId,
  sendId: 'send-1',
  step: 1,
  channelType: 'in_app',
  userId: 'user-1',
  templateId: 'order-shipped',
  templateVersion: 1,
  campaignId: null,
  variables: { orderNo: '42' },
  commandedAt: now - 1_000,
  expiresAt: now + 1_000,
  windowMs: 60_000,
}
const known: Known = {
  now,
  minuteMs: 60_000,
  optOut: null,
  erasedAt: null,
  template: {
    workspaceId: 'demo',
    templateId: 'order-shipped',
    version: 1,
    name: 'Order shipped',
    category: 'Marketing',
    variableSchema: [
      { name: 'orderNo', type: 'string', required: true, default: null },
      { name: 'shop', type: 'string', required: false, default: 'our shop' },
    ],
    channels: [
      {
        channelType: 'in_app',
        content: {
          title: 'Shipped',
          body: 'Order {{orderNo}} of {{shop}}',
          imageUrl: null,
          buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/{{orderNo}}' }],
        },
      },
    ],
    config: { sequenceEnabled: false, sequence: null },
  },
}

it('puts rendered content into the feed', () => {
  expect(answerTo(command, known)).toEqual({
    answer: 'requested',
    category: 'Marketing',
    expiresAt: null,
    content: {
      title: 'Shipped',
      body: 'Order 42 of our shop',
      imageUrl: null,
      buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/42' }],
    },
  })
})

it('gives an item the end its content asks for, which nobody reads in it', () => {
  const [channel] = known.template!.channels
  const content = { ...(channel!.content as object), expiresInMinutes: 90 }
  const template = { ...known.template!, channels: [{ channelType: 'in_app', content }] } as unknown as Known['template']
  const answer = answerTo(command, { ...known, template })
  expect(answer).toMatchObject({ answer: 'requested', expiresAt: now + 90 * 60_000 })
  expect(answer).not.toHaveProperty('content.expiresInMinutes')
})

it('needs no user record, and takes one without opt-outs', () => {
  expect(answerTo(command, { ...known, optOut: { channels: ['push'], categories: ['Alerts'] } })).toMatchObject({ answer: 'requested' })
})

it('skips who opted out of the channel', () => {
  const optOut = { channels: ['in_app'], categories: [] }
  expect(answerTo(command, { ...known, optOut })).toEqual({ answer: 'skipped', reason: 'opted_out' })
})

it("skips who opted out of the template's category", () => {
  const optOut = { channels: [], categories: ['Marketing'] }
  expect(answerTo(command, { ...known, optOut })).toEqual({ answer: 'skipped', reason: 'opted_out' })
})

it('never stores from expiresAt on', () => {
  expect(answerTo(command, { ...known, now: command.expiresAt - 1 })).toMatchObject({ answer: 'requested' })
  expect(answerTo(command, { ...known, now: command.expiresAt })).toEqual({ answer: 'failed', reason: 'expired' })
})

it('answers a withdrawal that comes first, even after its expiry', () => {
  const withdraw = { ...command, action: 'withdraw' as const, variables: {} }
  expect(answerTo(withdraw, known)).toEqual({ answer: 'skipped', reason: 'withdrawn' })
  expect(answerTo(withdraw, { ...known, now: command.expiresAt + 1, template: null })).toEqual({ answer: 'skipped', reason: 'withdrawn' })
})

it('skips what was commanded before its user was erased, not what came after', () => {
  expect(answerTo(command, { ...known, erasedAt: command.commandedAt })).toEqual({ answer: 'skipped', reason: 'erased' })
  expect(answerTo(command, { ...known, erasedAt: command.commandedAt - 1 })).toMatchObject({ answer: 'requested' })
})

it('fails what cannot be rendered, with the reason', () => {
  expect(answerTo(command, { ...known, template: null })).toEqual({ answer: 'failed', reason: 'template_unknown' })
  const template = { ...known.template!, channels: [] }
  expect(answerTo(command, { ...known, template })).toEqual({ answer: 'failed', reason: 'no_content' })
  expect(answerTo({ ...command, variables: {} }, known)).toEqual({ answer: 'failed', reason: 'missing_variables' })
})

describe('content that is not stored', () => {
  const answered = (content: object, orderNo: string): unknown => {
    const inApp = { title: 't', body: 'b', imageUrl: null, buttons: [], ...content }
    const template = { ...known.template!, channels: [{ channelType: 'in_app', content: inApp }] } as unknown as Known['template']
    return answerTo({ ...command, variables: { orderNo } }, { ...known, template })
  }
  it.each(['', ' \u200b', '\u3164'])('has nothing to read: %j', (v) =>
    expect(answered({ body: '{{orderNo}}' }, v)).toEqual({ answer: 'failed', reason: 'empty' }),
  )
  it('is more than an item may be', () => {
    expect(answered({ body: '{{orderNo}}' }, '가'.repeat(44_000))).toEqual({ answer: 'failed', reason: 'too_large' })
    expect(answered({ body: '{{orderNo}}'.repeat(300) }, 'x'.repeat(60_000))).toEqual({ answer: 'failed', reason: 'too_large' })
  })
  it('would lead elsewhere', () => {
    for (const body of ['https://shop.example{{orderNo}}', 'https://{{orderNo}}/x']) {
      expect(answered({ body }, '.evil.example/')).toEqual({ answer: 'failed', reason: 'unsafe_address' })
      expect(answered({ buttons: [{ id: 'b', label: 'l', url: body }] }, '@evil.example/')).toEqual({
        answer: 'failed',
        reason: 'unsafe_address',
      })
      expect(answered({ imageUrl: body }, '@evil.example/')).toEqual({ answer: 'failed', reason: 'unsafe_address' })
    }
  })
})

it('a value in an address is one component of it', () => {
  expect(answerTo({ ...command, variables: { orderNo: 'A 12/b' } }, known)).toMatchObject({
    content: { body: 'Order A 12/b of our shop', buttons: [{ url: 'https://shop.example/A%2012%2Fb' }] },
  })
})
