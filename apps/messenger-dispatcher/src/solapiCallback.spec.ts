// What Solapi's webhook says.
import { createHash } from 'node:crypto'
import { readSolapiCallback } from './solapiCallback'

const secret = 'the-webhook-secret-of-a-spec'
const sha1 = createHash('sha1').update(secret).digest('hex')
const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.4.kakao'
const read = (body: unknown, given: string | undefined = sha1) =>
  readSolapiCallback(
    {
      url: 'https://steps.example/v1/callbacks/solapi/demo',
      headers: { 'x-solapi-secret': given },
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    },
    secret,
  )
const report = (statusCode: string) => ({ messageId: 'M1', statusCode, customFields: { messageId } })

describe("Solapi's webhook", () => {
  it('is delivered by 4000', () =>
    expect(read([report('4000')])).toEqual([{ messageId, providerMessageId: 'M1', status: 'delivered', reason: null }]))
  it.each(['2000', '3000'])('is on its way: %s', (code) => expect(read([report(code)])).toMatchObject([{ status: null, reason: null }]))
  it.each(['3104', '3107', '3103', '2230'])('has failed, with the code as the reason: %s', (code) =>
    expect(read([report(code)])).toMatchObject([{ status: 'failed', reason: code }]),
  )
  it('was skipped as unsubscribed when the person refuses messages', () =>
    expect(read([report('2061')])).toMatchObject([{ status: 'skipped', reason: 'unsubscribed' }]))
  it('reports many at a time, and of those only ours', () => {
    const others = [
      { messageId: 'M2', statusCode: '4000' },
      { messageId: 'M3', statusCode: '4000', customFields: { order: '1' } },
      'x',
      null,
    ]
    expect(read([report('4000'), ...others, report('3104')])).toHaveLength(2)
  })
  it.each(['', '{', '{}', 'null', '"x"'])('says nothing where it is no list: %j', (body) => expect(read(body)).toEqual([]))
  it.each([undefined, '', secret, sha1.slice(1), createHash('sha1').update('other').digest('hex')])(
    'is refused with the secret %j',
    (given) =>
      expect(
        readSolapiCallback(
          {
            url: '',
            headers: given === undefined ? {} : { 'x-solapi-secret': given },
            body: Buffer.from(JSON.stringify([report('4000')])),
          },
          secret,
        ),
      ).toBeNull(),
  )
})
