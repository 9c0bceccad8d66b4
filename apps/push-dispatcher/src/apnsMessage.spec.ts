// The push as APNs gets it.
import type { ProviderMessage } from '@stepcast/channel'
import { apnsRequest } from './apnsMessage'

const message: ProviderMessage<'push'> = {
  workspaceId: 'demo',
  messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push',
  userId: 'user-1',
  target: 'phone',
  address: 'token-1',
  content: { title: 'Shipped', body: 'Order 1', url: 'https://shop.example/1', data: { screen: 'order', aps: 'x', none: null as never } },
  timeToLiveMs: 90_500,
}
const requestOf = (changes: Partial<ProviderMessage<'push'>> = {}) => apnsRequest({ ...message, ...changes }, 'com.example.shop', 1_000_600)
const headersOf = (changes: Partial<ProviderMessage<'push'>> = {}) => requestOf(changes).headers

describe('a push to APNs', () => {
  it('is an alert, sent at once, that the extension may report', () => {
    expect(requestOf()).toMatchObject({
      path: '/3/device/token-1',
      headers: { 'apns-topic': 'com.example.shop', 'apns-push-type': 'alert', 'apns-priority': '10' },
    })
    expect(JSON.parse(requestOf().body)).toEqual({
      aps: { alert: { title: 'Shipped', body: 'Order 1' }, 'mutable-content': 1 },
      screen: 'order',
      stepcast_message_id: message.messageId,
      stepcast_workspace_id: 'demo',
      stepcast_user_id: 'user-1',
      stepcast_url: 'https://shop.example/1',
    })
  })
  it('collapses with its own repeats', () => {
    expect(headersOf()['apns-collapse-id']).toBe(message.messageId)
    expect(Buffer.byteLength(message.messageId.replace('.2.', '.999.'))).toBeLessThanOrEqual(64)
  })
  it('has one id for all attempts, another for each device', () => {
    const id = headersOf()['apns-id']
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect([headersOf({ timeToLiveMs: 1 })['apns-id'] === id, headersOf({ target: 'tablet' })['apns-id'] === id]).toEqual([true, false])
  })
  it('does not outlive the window: whole seconds, rounded down', () => {
    expect(headersOf()['apns-expiration']).toBe('1091')
  })
  it('is for now or never when no second is left, and has no end on the last step', () => {
    expect(headersOf({ timeToLiveMs: 999 })['apns-expiration']).toBe('0')
    expect(headersOf({ timeToLiveMs: null })).not.toHaveProperty('apns-expiration')
  })
  it('keeps a strange token within its path', () => {
    expect(requestOf({ address: '../../other?x' }).path).toBe('/3/device/..%2F..%2Fother%3Fx')
  })
})
