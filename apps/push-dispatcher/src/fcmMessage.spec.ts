// The push as FCM gets it.
import type { ProviderMessage } from '@stepcast/channel'
import { fcmBody, isWithinFcmLimits } from './fcmMessage'

const message: ProviderMessage<'push'> = {
  workspaceId: 'demo',
  messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push',
  userId: 'user-1',
  target: 'phone',
  address: 'token-1',
  content: { title: 'Shipped', body: 'Order 1', url: 'https://shop.example/1', data: { screen: 'order', url: null as never } },
  timeToLiveMs: 90_500,
}
const bodyOf = (changes: Partial<ProviderMessage<'push'>> = {}): any =>
  (fcmBody({ ...message, ...changes }, 1_000_000) as { message: object }).message

describe('a push', () => {
  it('carries content, data, and whose and which message it is', () => {
    expect(bodyOf()).toMatchObject({
      token: 'token-1',
      notification: { title: 'Shipped', body: 'Order 1' },
      data: {
        screen: 'order',
        stepcast_message_id: message.messageId,
        stepcast_workspace_id: 'demo',
        stepcast_user_id: 'user-1',
        stepcast_url: 'https://shop.example/1',
      },
    })
    expect(bodyOf().data).not.toHaveProperty('url')
  })
  it('collapses with its own repeats on every platform', () => {
    const { android, apns, webpush } = bodyOf()
    expect(android).toMatchObject({ collapse_key: message.messageId, notification: { tag: message.messageId } })
    expect(apns.headers['apns-collapse-id']).toBe(message.messageId)
    expect(webpush.headers.Topic).toMatch(/^[\w-]{32}$/)
    expect(Buffer.byteLength(`${message.messageId.replace('.2.', '.999.')}`)).toBeLessThanOrEqual(64)
  })
  it('does not outlive the window, in whole seconds', () => {
    const { android, apns, webpush } = bodyOf()
    expect([android.ttl, apns.headers['apns-expiration'], webpush.headers.TTL]).toEqual(['90s', '1090', '90'])
  })
  it("has FCM's own time to live on the last step, and no link without a URL", () => {
    const { android, apns, webpush, data } = bodyOf({ timeToLiveMs: null, content: { ...message.content, url: null } })
    expect([android.ttl, apns.headers['apns-expiration'], webpush.headers.TTL, webpush.fcm_options, data.stepcast_url]).toEqual(
      Array(5).fill(undefined),
    )
  })
  it("cannot speak for another message by the template's data", () => {
    const data = { stepcast_message_id: 'another', stepcast_user_id: 'someone' }
    expect(bodyOf({ content: { ...message.content, data } }).data).toMatchObject({
      stepcast_message_id: message.messageId,
      stepcast_user_id: 'user-1',
    })
  })
  it('wakes the extension of an iOS app, which reports delivered', () => {
    expect(bodyOf().apns.payload).toEqual({ aps: { 'mutable-content': 1 } })
  })
  it("is within FCM's limits unless it has more than 4,096 bytes or a key of FCM's own", () => {
    const withData = (data: Record<string, string>): boolean => isWithinFcmLimits({ ...message, content: { ...message.content, data } })
    expect([withData({}), withData({ text: '가'.repeat(1_000) }), withData({ text: '가'.repeat(1_400) })]).toEqual([true, true, false])
    expect(['from', 'gcm.x', 'google.y', 'fromage'].map((key) => withData({ [key]: '1' }))).toEqual([false, false, false, true])
  })
})
