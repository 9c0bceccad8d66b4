// Nothing the sandbox keeps grows without end.
import { Arrivals } from './arrivals'
import { Phones } from './phones'
import { Product } from './product'

const at = new Date().toISOString()

it('keeps the newest 200,000 arrivals and not more than a quarter beyond', () => {
  const arrivals = new Arrivals(null)
  for (let n = 0; n < 260_000; n++) arrivals.record({ provider: 'fcm', messageId: `m${n}`, to: 't', at, answer: '200', accepted: true })
  const kept = arrivals.find({})
  expect(kept.length).toBeGreaterThanOrEqual(200_000)
  expect(kept.length).toBeLessThanOrEqual(250_000)
  expect(kept.at(-1)!.messageId).toBe('m259999')
})

it('shows the newest 5,000 messages, remembers 100,000, and keeps no text of the others', async () => {
  const product = new Product('http://127.0.0.1:9')
  const phones = new Phones(product)
  const message = {
    channel: 'push',
    provider: 'fcm',
    workspaceId: 'demo',
    userId: 'ada',
    to: 't',
    title: 'T',
    imageUrl: null,
    links: [],
  } as const
  for (let n = 0; n < 100_001; n++) phones.receive({ ...message, messageId: `m${n}`, body: 'x'.repeat(3_000) })
  const shown = phones.list({ limit: 100_000 })
  expect(shown.length).toBeLessThanOrEqual(6_250)
  expect(shown[0]).toMatchObject({ messageId: 'm100000', body: 'x'.repeat(2_000) })
  expect(await phones.report('m0', 'delivered')).toEqual({ kind: 'no_such_message' })
  expect(await phones.report('m1', 'delivered')).toEqual({ kind: 'no_credential', workspaceId: 'demo' })
  phones.receive({ ...message, messageId: 'm1', body: '' })
  phones.receive({ ...message, messageId: 'later', body: '' })
  expect(await phones.report('m1', 'delivered')).toEqual({ kind: 'no_such_message' })
  expect(await phones.report('m2', 'delivered')).toEqual({ kind: 'no_credential', workspaceId: 'demo' })
  await product.stop()
})
