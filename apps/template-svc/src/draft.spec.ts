// Every rule of a template, one test each: what is refused, at which field.
import { parse, Problem } from '@stepcast/service'
import { templateBody, templateIdFrom } from './draft'
import { warningsOf } from './warnings'

type Json = Record<string, unknown>
const inApp: Json = {
  channelType: 'in_app',
  content: {
    title: 'Shipped',
    body: 'Order {{orderNo}}',
    imageUrl: null,
    buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/{{orderNo}}' }],
  },
}
const push: Json = {
  channelType: 'push',
  content: { title: 'Shipped', body: 'Order {{orderNo}}', url: 'https://shop.example', data: { orderNo: '{{orderNo}}' } },
}
const sms: Json = { channelType: 'sms', content: { body: 'Order {{orderNo}} https://shop.example/{{orderNo}}', trackLinks: true } }
const kakao: Json = { channelType: 'kakao', content: { senderKey: 's', templateCode: 't', body: 'b', buttons: [] } }
const orderNo: Json = { name: 'orderNo', type: 'string', required: true, default: null }
const steps: Json[] = [
  { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 30 },
  { channels: ['push'], stopCondition: 'clicked', waitMinutes: 60 },
  { channels: ['sms'] },
]

const body = (more: Json = {}): Json => ({
  templateId: 'order-shipped',
  name: 'Order shipped',
  category: 'Transactional',
  variableSchema: [orderNo],
  channels: [inApp, push, sms],
  config: { sequenceEnabled: true, sequence: { steps } },
  ...more,
})
const withContent = (channel: Json, more: Json): Json => ({ ...channel, content: { ...(channel.content as Json), ...more } })
const broadcast = (...channels: Json[]): Json => body({ channels, config: { sequenceEnabled: false } })
const withSteps = (...sequenceSteps: Json[]): Json => body({ config: { sequenceEnabled: true, sequence: { steps: sequenceSteps } } })
const withSequence = (more: Json): Json => body({ config: { sequenceEnabled: true, sequence: { steps, ...more } } })

/** The fields a body is refused for. */
function refusedAt(input: unknown): string[] {
  try {
    parse(templateBody, input)
  } catch (error) {
    if (error instanceof Problem) return error.errors.map(({ path }) => path)
    throw error
  }
  return []
}

it('takes the published example and fills in every default', () => {
  const { templateId, definition } = parse(templateBody, body())
  expect(templateId).toBe('order-shipped')
  expect(definition.config).toEqual({
    sequenceEnabled: true,
    sequence: {
      steps: [
        { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 30 },
        { channels: ['push'], stopCondition: 'clicked', waitMinutes: 60 },
        { channels: ['sms'], stopCondition: null, waitMinutes: null },
      ],
      onFailure: 'advance',
      lateSignal: 'stop',
      dispatchTtlMinutes: 60,
    },
  })
  expect(warningsOf(definition)).toEqual([])
})

it('fills in defaults of content, variables and config', () => {
  const { definition } = parse(templateBody, {
    name: 'n',
    category: 'Alerts',
    variableSchema: [{ name: 'a' }],
    channels: [
      { channelType: 'in_app', content: { title: 't', body: 'b' } },
      { channelType: 'push', content: { title: 't', body: 'b' } },
      { channelType: 'sms', content: { body: 'b' } },
    ],
  })
  expect(definition).toEqual({
    name: 'n',
    category: 'Alerts',
    variableSchema: [{ name: 'a', type: 'string', required: false, default: null }],
    channels: [
      { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } },
      { channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } },
      { channelType: 'sms', content: { body: 'b', trackLinks: true } },
    ],
    config: { sequenceEnabled: false, sequence: null },
  })
})

it('in-app content may say when it leaves the feed, up to 90 days; absent stays absent', () => {
  const stored = (more: Json): unknown => parse(templateBody, broadcast(withContent(inApp, more))).definition.channels[0]!.content
  for (const expiresInMinutes of [1, 129_600, null]) expect(stored({ expiresInMinutes })).toMatchObject({ expiresInMinutes })
  expect(stored({})).toEqual(inApp.content)
})

it('read and engaged are stored as viewed and clicked', () => {
  const { definition } = parse(
    templateBody,
    withSteps(
      { channels: ['in_app'], stopCondition: 'read', waitMinutes: 5 },
      { channels: ['push'], stopCondition: 'engaged', waitMinutes: 5 },
      { channels: ['sms'] },
    ),
  )
  expect(definition.config.sequence?.steps.map(({ stopCondition }) => stopCondition)).toEqual(['viewed', 'clicked', null])
})

it('what was read may be sent back: fields of the service are dropped', () => {
  const { definition } = parse(
    templateBody,
    body({ status: 'draft', version: null, hasDraft: true, createdAt: 'x', updatedAt: 'x', warnings: [] }),
  )
  expect(definition).not.toHaveProperty('status')
})

it('switched off, a sequence is a broadcast and its settings are dropped', () => {
  expect(parse(templateBody, body({ config: { sequenceEnabled: false, sequence: { steps } } })).definition.config).toEqual({
    sequenceEnabled: false,
    sequence: null,
  })
  expect(parse(templateBody, body({ config: undefined })).definition.config).toEqual({ sequenceEnabled: false, sequence: null })
})

it.each<[string, unknown, string[]]>([
  ['a body that is no object', [], ['']],
  ['an unknown field, by name', body({ colour: 'red' }), ['/colour']],
  ['an expiry at once', broadcast(withContent(inApp, { expiresInMinutes: 0 })), ['/channels/0/content/expiresInMinutes']],
  ['an expiry beyond 90 days', broadcast(withContent(inApp, { expiresInMinutes: 129_601 })), ['/channels/0/content/expiresInMinutes']],
  ['an expiry with a fraction', broadcast(withContent(inApp, { expiresInMinutes: 1.5 })), ['/channels/0/content/expiresInMinutes']],
  ['an expiry of a push', broadcast(withContent(push, { expiresInMinutes: 5 })), ['/channels/0/content/expiresInMinutes']],
  ['an unknown field of content', broadcast(withContent(sms, { from: '+1' })), ['/channels/0/content/from']],
  ['an unknown field of a step', withSteps({ ...steps[0], delay: 5 }, steps[1]!, steps[2]!), ['/config/sequence/steps/0/delay']],
  ['a templateId with capitals', body({ templateId: 'Order' }), ['/templateId']],
  ['a templateId over 64 characters', body({ templateId: 'a'.repeat(65) }), ['/templateId']],
  ['no name', body({ name: undefined }), ['/name']],
  ['an empty name', body({ name: '' }), ['/name']],
  ['a name over 120 characters', body({ name: 'n'.repeat(121) }), ['/name']],
  ['a NUL character', body({ name: 'a\u0000' }), ['/name']],
  ['half a surrogate pair', body({ name: 'a\ud800' }), ['/name']],
  ['an unknown category', body({ category: 'News' }), ['/category']],
  ['a variable name with a dash', body({ variableSchema: [orderNo, { name: 'a-b' }] }), ['/variableSchema/1/name']],
  ['a variable name twice', body({ variableSchema: [orderNo, orderNo] }), ['/variableSchema/1/name']],
  ['an unknown variable type', body({ variableSchema: [{ ...orderNo, type: 'number' }] }), ['/variableSchema/0/type']],
  ['required that is no boolean', body({ variableSchema: [{ ...orderNo, required: 'yes' }] }), ['/variableSchema/0/required']],
  ['a default that is no text', body({ variableSchema: [{ ...orderNo, default: 1 }] }), ['/variableSchema/0/default']],
  [
    'an image default that is no URL',
    body({ variableSchema: [orderNo, { name: 'i', type: 'image', default: 'x' }] }),
    ['/variableSchema/1/default'],
  ],
  [
    'more than 50 variables',
    body({ variableSchema: [orderNo, ...Array.from({ length: 50 }, (_, i) => ({ name: `v${i}` }))] }),
    ['/variableSchema'],
  ],
  ['no channels', body({ channels: [], config: undefined }), ['/channels']],
  ['an unknown channel', broadcast({ channelType: 'fax', content: {} }), ['/channels/0/channelType']],
  ['a channel twice', broadcast(sms, sms), ['/channels/1/channelType']],
  ['content without a body', broadcast(withContent(inApp, { body: undefined })), ['/channels/0/content/body']],
  ['an empty title', broadcast(withContent(push, { title: '' })), ['/channels/0/content/title']],
  ['an SMS over 1,600 characters', broadcast(withContent(sms, { body: 'a'.repeat(1_601) })), ['/channels/0/content/body']],
  ['trackLinks that is no boolean', broadcast(withContent(sms, { trackLinks: 1 })), ['/channels/0/content/trackLinks']],
  ['a KakaoTalk body over 1,000 characters', broadcast(withContent(kakao, { body: 'a'.repeat(1_001) })), ['/channels/0/content/body']],
  [
    'a KakaoTalk button over 14 characters',
    broadcast(sms, withContent(kakao, { buttons: [{ id: 'a', label: 'a very long label' }] })),
    ['/channels/1/content/buttons/0/label'],
  ],
  ['KakaoTalk without a senderKey', broadcast(withContent(kakao, { senderKey: undefined })), ['/channels/0/content/senderKey']],
  ['push data under a key FCM reserves', broadcast(withContent(push, { data: { google_x: 'a' } })), ['/channels/0/content/data']],
  ['push data that is no text', broadcast(withContent(push, { data: { a: 1 } })), ['/channels/0/content/data/a']],
  [
    'more than 5 buttons',
    broadcast(withContent(inApp, { buttons: Array.from({ length: 6 }, (_, i) => ({ id: `b${i}`, label: 'l' })) })),
    ['/channels/0/content/buttons'],
  ],
  [
    'a button id twice',
    broadcast(
      withContent(inApp, {
        buttons: [
          { id: 'a', label: 'l' },
          { id: 'a', label: 'l' },
        ],
      }),
    ),
    ['/channels/0/content/buttons/1/id'],
  ],
  ['a button without a label', broadcast(withContent(inApp, { buttons: [{ id: 'a' }] })), ['/channels/0/content/buttons/0/label']],
  [
    'another scheme',
    broadcast(withContent(inApp, { buttons: [{ id: 'a', label: 'l', url: 'javascript:alert(1)' }] })),
    ['/channels/0/content/buttons/0/url'],
  ],
  ['a relative URL', broadcast(withContent(push, { url: '/orders/{{orderNo}}' })), ['/channels/0/content/url']],
  [
    'an imageUrl of another scheme',
    broadcast(withContent(inApp, { imageUrl: 'data:image/png;base64,x' })),
    ['/channels/0/content/imageUrl'],
  ],
  ['a URL beginning with a string variable', broadcast(withContent(push, { url: '{{orderNo}}/x' })), ['/channels/0/content/url']],
  ['a variable the schema does not have', broadcast(withContent(sms, { body: 'Hi {{name}}' })), ['/channels/0/content/body']],
  [
    'a variable in push data the schema does not have',
    broadcast(withContent(push, { data: { a: '{{x}}' } })),
    ['/channels/0/content/data/a'],
  ],
  ['anything else in double braces', broadcast(withContent(sms, { body: '{{#if orderNo}}' })), ['/channels/0/content/body']],
  ['a sequence switched on without steps', body({ config: { sequenceEnabled: true } }), ['/config/sequence']],
  [
    'a sequence of one channel',
    body({ channels: [sms], config: { sequenceEnabled: true, sequence: { steps: [{ channels: ['sms'] }] } } }),
    ['/config/sequenceEnabled'],
  ],
  ['an empty list of steps', withSteps(), ['/config/sequence/steps']],
  ['a step without channels', withSteps({ ...steps[0], channels: [] }, steps[1]!, steps[2]!), ['/config/sequence/steps/0/channels']],
  [
    'a step with an unknown channel',
    withSteps({ ...steps[0], channels: ['fax'] }, steps[1]!, steps[2]!),
    ['/config/sequence/steps/0/channels/0'],
  ],
  [
    'a step with a channel the template lacks',
    withSteps(...steps.slice(0, 2), { channels: ['sms', 'kakao'] }),
    ['/config/sequence/steps/2/channels/1'],
  ],
  ['steps that leave a channel out', withSteps(steps[0]!, { channels: ['sms'] }), ['/config/sequence/steps']],
  ['a channel in two steps', withSteps(steps[0]!, steps[1]!, { channels: ['sms', 'push'] }), ['/config/sequence/steps/2/channels/1']],
  [
    'a step without stop condition',
    withSteps({ ...steps[0], stopCondition: undefined }, steps[1]!, steps[2]!),
    ['/config/sequence/steps/0/stopCondition'],
  ],
  [
    'an unknown stop condition',
    withSteps({ ...steps[0], stopCondition: 'opened' }, steps[1]!, steps[2]!),
    ['/config/sequence/steps/0/stopCondition'],
  ],
  ['a step without wait', withSteps(steps[0]!, { ...steps[1], waitMinutes: null }, steps[2]!), ['/config/sequence/steps/1/waitMinutes']],
  [
    'a wait that is not offered',
    withSteps({ ...steps[0], waitMinutes: 7 }, steps[1]!, steps[2]!),
    ['/config/sequence/steps/0/waitMinutes'],
  ],
  [
    'a terminal step with a condition',
    withSteps(steps[0]!, steps[1]!, { channels: ['sms'], stopCondition: 'clicked' }),
    ['/config/sequence/steps/2/stopCondition'],
  ],
  [
    'a terminal step with a wait',
    withSteps(steps[0]!, steps[1]!, { channels: ['sms'], waitMinutes: 5 }),
    ['/config/sequence/steps/2/waitMinutes'],
  ],
  ['viewed on push', withSteps(steps[0]!, { ...steps[1], stopCondition: 'viewed' }, steps[2]!), ['/config/sequence/steps/1/stopCondition']],
  ['read on push', withSteps(steps[0]!, { ...steps[1], stopCondition: 'read' }, steps[2]!), ['/config/sequence/steps/1/stopCondition']],
  [
    'viewed where one channel of the step has none',
    withSteps({ ...steps[0], channels: ['in_app', 'push'] }, { channels: ['sms'] }),
    ['/config/sequence/steps/0/stopCondition'],
  ],
  ['an unknown onFailure', withSequence({ onFailure: 'retry' }), ['/config/sequence/onFailure']],
  ['an unknown lateSignal', withSequence({ lateSignal: 'later' }), ['/config/sequence/lateSignal']],
  ['dispatchTtlMinutes of 0', withSequence({ dispatchTtlMinutes: 0 }), ['/config/sequence/dispatchTtlMinutes']],
  ['dispatchTtlMinutes over a day', withSequence({ dispatchTtlMinutes: 1_441 }), ['/config/sequence/dispatchTtlMinutes']],
  ['dispatchTtlMinutes with a fraction', withSequence({ dispatchTtlMinutes: 1.5 }), ['/config/sequence/dispatchTtlMinutes']],
  ['sequenceEnabled that is no boolean', body({ config: { sequenceEnabled: 'on' } }), ['/config/sequenceEnabled']],
])('refuses %s', (_what, input, paths) => expect(refusedAt(input)).toEqual(paths))

it('tells every broken rule at once, with what is allowed', () => {
  try {
    parse(
      templateBody,
      withSteps({ channels: ['in_app'] }, { channels: ['push'], stopCondition: 'viewed', waitMinutes: 5 }, { channels: ['sms'] }),
    )
    throw new Error('taken')
  } catch (error) {
    expect((error as Problem).errors).toEqual([
      { path: '/config/sequence/steps/0/stopCondition', message: 'must be delivered, viewed or clicked: only the last step has none' },
      {
        path: '/config/sequence/steps/0/waitMinutes',
        message: 'must be one of 5, 10, 30, 60, 240, 1440 (minutes): only the last step has none',
      },
      {
        path: '/config/sequence/steps/1/stopCondition',
        message: 'viewed exists for in_app only, and this step has push; use delivered or clicked',
      },
    ])
  }
})

it('a URL may be a variable of type action or image', () => {
  expect(
    refusedAt(
      body({
        variableSchema: [orderNo, { name: 'link', type: 'action' }, { name: 'pic', type: 'image' }],
        config: undefined,
        channels: [withContent(inApp, { imageUrl: '{{pic}}', buttons: [{ id: 'a', label: 'l', url: '{{ link }}?o={{orderNo}}' }] })],
      }),
    ),
  ).toEqual([])
})

it('makes ids from names', () => {
  expect(templateIdFrom('Order shipped!')).toBe('order-shipped')
  expect(templateIdFrom(' Ça va  ')).toBe('ca-va')
  expect(templateIdFrom('주문 배송')).toBe('template')
  expect(templateIdFrom(`${'a'.repeat(55)} bcd`)).toBe('a'.repeat(55))
})

describe('warns of', () => {
  const warned = (input: Json): string[] => warningsOf(parse(templateBody, input).definition).map(({ path }) => path)

  it('delivered on push, which only the app can report', () =>
    expect(warned(withSteps(steps[0]!, { ...steps[1], stopCondition: 'delivered' }, steps[2]!))).toEqual([
      '/config/sequence/steps/1/stopCondition',
    ]))
  it('a dispatch time raised above a window', () => expect(warned(withSequence({ dispatchTtlMinutes: 61 }))).toHaveLength(2))
  it('an item that leaves the feed before its window ends', () => {
    const expiring = (expiresInMinutes: number): Json => body({ channels: [withContent(inApp, { expiresInMinutes }), push, sms] })
    expect(warned(expiring(29))).toEqual(['/channels/0/content/expiresInMinutes'])
    expect(warned(expiring(30))).toEqual([])
  })
  it('a variable nothing uses', () =>
    expect(warned(body({ variableSchema: [orderNo, { name: 'x' }] }))).toEqual(['/variableSchema/1/name']))
  it('an SMS of several segments', () => {
    expect(warned(broadcast(sms, withContent(push, { body: '한'.repeat(100) })))).toEqual([])
    expect(warned(broadcast(withContent(sms, { body: `{{orderNo}}${'한'.repeat(60)}` })))).toEqual(['/channels/0/content/body'])
  })
  it('a sequence of a single step', () =>
    expect(warned(withSteps({ channels: ['in_app', 'push', 'sms'] }))).toEqual(['/config/sequence/steps']))
})
