// What a template's texts may hold: addresses, sizes, our own links; what is warned of, and what a preview says.
import { parse, Problem } from '@stepcast/service'
import type { TemplateDefinition } from '@stepcast/template'
import { installationProblems } from './contentRules'
import { templateBody } from './draft'
import { previewOf } from './preview'
import { ruleProblems } from './rules'
import { warningsOf } from './warnings'

type Json = Record<string, unknown>
const publicUrl = 'https://go.example'
const contents: Record<string, Json> = {
  in_app: { title: 't', body: 'b' },
  push: { title: 't', body: 'b' },
  sms: { body: 'b', trackLinks: true },
  kakao: { senderKey: 's', templateCode: 't', body: 'b' },
}
const template = (channelType: string, content: Json, more: Json = {}): Json => ({
  name: 'n',
  category: 'Alerts',
  variableSchema: [{ name: 'v' }, { name: 'link', type: 'action' }, { name: 'pic', type: 'image' }],
  channels: [{ channelType, content: { ...contents[channelType], ...content } }],
  ...more,
})
const definitionOf = (body: Json): TemplateDefinition => parse(templateBody, body).definition
function refusal(body: Json): readonly { path: string; message: string }[] {
  try {
    const problems = installationProblems(definitionOf(body), publicUrl)
    return problems.map(({ path, message }) => ({ path: path.map((step) => `/${step}`).join(''), message }))
  } catch (error) {
    if (error instanceof Problem) return error.errors
    throw error
  }
}
const button = (url: string): Json => ({ buttons: [{ id: 'b', label: 'l', url }] })
const at = '/channels/0/content'
/** Every place an address can be in, with the field it is refused at. */
const places: readonly (readonly [string, string, (address: string) => Json])[] = [
  ['in_app', `${at}/body`, (body) => ({ body })],
  ['in_app', `${at}/title`, (title) => ({ title })],
  ['in_app', `${at}/buttons/0/label`, (label) => ({ buttons: [{ id: 'b', label }] })],
  ['in_app', `${at}/buttons/0/url`, button],
  ['in_app', `${at}/imageUrl`, (imageUrl) => ({ imageUrl })],
  ['push', `${at}/url`, (url) => ({ url })],
  ['push', `${at}/body`, (body) => ({ body })],
  ['push', `${at}/data/page`, (page) => ({ data: { page } })],
  ['sms', `${at}/body`, (body) => ({ body })],
  ['kakao', `${at}/body`, (body) => ({ body })],
  ['kakao', `${at}/buttons/0/url`, button],
]

describe.each(places)('%s, %s', (channel, path, made) => {
  it.each([
    'https://shop.example{{v}}',
    'https://{{v}}/x',
    'https://shop.example:{{v}}/x',
    'https://{{v}}@shop.example/',
    'HTTPS://shop.example{{v}}/x',
    'https://good.example@evil.example',
    'https://good.example\\@evil.example',
    'https://go.example/l/sAAAAAAAAAAAAAAAAAAAAAAAA',
    'https://GO.example:443//l/x',
  ])('refuses %s', (address) => expect(refusal(template(channel, made(address)))).toMatchObject([{ path }]))
  it.each(['https://shop.example/{{v}}', 'https://shop.example?q={{v}}', 'https://go.example/'])('takes %s', (address) =>
    expect(refusal(template(channel, made(address)))).toEqual([]),
  )
})

it.each([
  ['push', { url: 'https://good.example\t@evil.example' }, `${at}/url`],
  ['push', { url: 'https://shop.example/\n{{v}}' }, `${at}/url`],
  ['push', { url: '{{link}}{{v}}' }, `${at}/url`],
  ['push', { url: '{{link}}.evil.example' }, `${at}/url`],
  ['push', { url: '{{v}}://shop.example' }, `${at}/url`],
  ['push', { url: 'http{{v}}://shop.example' }, `${at}/url`],
  ['push', { url: 'https:///x' }, `${at}/url`],
  ['push', { url: '//shop.example{{v}}' }, `${at}/url`],
  ['sms', { body: 'Go http{{v}}://shop.example/x' }, `${at}/body`],
  ['sms', { body: 'Go https:{{v}}' }, `${at}/body`],
])('%s refuses %j', (channel, content, path) => expect(refusal(template(channel, content))).toMatchObject([{ path }]))

it('an address that is one variable of its type is taken, and its default is checked', () => {
  for (const url of ['{{link}}', '{{link}}?o={{v}}', '{{link}}/{{v}}']) expect(refusal(template('push', { url }))).toEqual([])
  for (const value of ['https://good.example@evil.example', 'shop', 'https://a.example/\n']) {
    expect(refusal(template('push', {}, { variableSchema: [{ name: 'link', type: 'action', default: value }] }))).toMatchObject([
      { path: '/variableSchema/0/default' },
    ])
  }
})

describe('what is too large whatever the variables are', () => {
  it('is refused with its field, its size and the limit', () => {
    expect(refusal(template('push', { body: '가'.repeat(1_500) }))).toEqual([
      { path: `${at}/body`, message: expect.stringMatching(/^comes to 4\d{3} bytes as FCM counts .*at most 4096$/) },
    ])
    const data = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'x'.repeat(1_000)]))
    expect(refusal(template('push', { data }))).toMatchObject([{ path: `${at}/data`, message: expect.stringMatching(/2\d{4} bytes/) }])
    expect(
      refusal(template('push', { body: `{{v}}${'"'.repeat(1_490)}`, title: '"'.repeat(200), url: `https://a.example/${'"'.repeat(400)}` })),
    ).toMatchObject([{ path: expect.stringMatching(/body|url/) }])
    expect(refusal(template('kakao', { buttons: [{ id: 'b', label: '열다섯 글자가 넘는 긴 버튼 이름' }] }))).toMatchObject([
      { path: `${at}/buttons/0/label`, message: expect.stringContaining('at most 14') },
    ])
  })
  it('an SMS counts with its tracked links', () => {
    const links = (n: number): string =>
      Array.from({ length: n }, () => 'https://a.io')
        .join(' ')
        .padEnd(1_600, '.')
    expect(refusal(template('sms', { body: `${links(20).slice(0, 1_599)}x` }))).toMatchObject([
      { path: `${at}/body`, message: expect.stringMatching(/characters, .*at most 1600/) },
    ])
    expect(refusal(template('sms', { body: `${links(20).slice(0, 1_599)}x`, trackLinks: false }))).toEqual([])
    expect(refusal(template('sms', { body: `https://a.example/${'x'.repeat(1_500)}` }))).toEqual([])
  })
  it('130 family emojis fit, and so does what fits with short ids', () => {
    expect(refusal(template('push', { body: '👨‍👩‍👧‍👦'.repeat(130) }))).toEqual([])
    expect(refusal(template('push', { body: '가'.repeat(1_250) }))).toEqual([])
  })
})

it.each([
  ['sms', 'body', '   '],
  ['push', 'body', '\u200b'],
  ['kakao', 'body', '\u3164'],
  ['in_app', 'body', ' \n '],
])('%s must have something to read: %s', (channel, field, text) => {
  expect(refusal(template(channel, { [field]: text }))).toMatchObject([{ path: `${at}/${field}`, message: 'must have something to read' }])
})

it('a draft of before is judged anew when it is approved', () => {
  const definition = {
    ...definitionOf(template('push', {})),
    channels: [{ channelType: 'push', content: { title: 't', body: 'b', url: 'https://{{v}}/x', data: {} } }],
  } as unknown as TemplateDefinition
  expect(ruleProblems(definition)).toMatchObject([{ path: ['channels', 0, 'content', 'url'] }])
})

it('push data keeps every name it may have', () => {
  const channels = JSON.parse(
    '[{"channelType":"push","content":{"title":"t","body":"b","data":{"__proto__":"{{v}}","constructor":"x"}}}]',
  ) as unknown
  const definition = definitionOf(template('push', {}, { channels }))
  expect(Object.entries((definition.channels[0]!.content as { data: object }).data)).toEqual([
    ['__proto__', '{{v}}'],
    ['constructor', 'x'],
  ])
})

describe('warns', () => {
  const warned = (channel: string, content: Json, more: Json = {}): string[] =>
    warningsOf(definitionOf(template(channel, content, { variableSchema: [{ name: 'v' }], ...more }))).map(
      ({ path, message }) => `${path} ${message}`,
    )

  it.each(['{{{v}}}', '#{v}', '${v}', '%v%', '<%= v %>', '｛｛v｝｝', '{v}', '[[v]]'])('of %s beside {{v}}', (near) => {
    expect(warned('sms', { body: `주문 ${near} / {{v}}` })).toEqual([
      `${at}/body "${near}" is sent ${near === '{{{v}}}' ? 'with a brace on each side of the value' : 'as it stands'}: write {{v}}`,
    ])
    expect(warned('push', { body: 'b {{v}}', data: { a: near } })).toEqual([expect.stringContaining(`${at}/data/a "${near}"`)])
  })
  it('of nothing where all is well', () => {
    expect(warned('sms', { body: 'Order {{v}}: https://shop.example/{{v}}' })).toEqual([])
    expect(warned('push', { body: 'Order {{v}}', url: 'https://shop.example/{{v}}' })).toEqual([])
  })
  it('of a text that may be empty, and of an address that may be none', () => {
    expect(warned('sms', { body: ' {{v}} ' })).toEqual([expect.stringContaining('(empty)')])
    expect(warned('sms', { body: '{{v}}' }, { variableSchema: [{ name: 'v', required: true }] })).toEqual([])
    const optional = { variableSchema: [{ name: 'v', type: 'action' }] }
    expect(warned('push', { url: '{{v}}' }, optional)).toEqual([`${at}/url without a value for {{v}} a tap opens the app`])
    expect(warned('in_app', button('{{v}}'), optional)).toEqual([`${at}/buttons/0/url without a value for {{v}} the button has no link`])
    expect(warned('kakao', button('{{v}}'), optional)).toEqual([
      `${at}/buttons/0/url without a value for {{v}} the message is not sent (empty)`,
    ])
  })
  it('of little room for values, and of defaults that are too large', () => {
    expect(warned('push', { body: `{{v}}${'가'.repeat(1_200)}` })).toEqual([expect.stringMatching(/body leaves \d+ bytes for the values/)])
    expect(warned('kakao', { body: `{{v}}${'가'.repeat(950)}` })).toEqual([expect.stringMatching(/body leaves 50 characters/)])
    expect(warned('push', { body: 'x {{v}}' }, { variableSchema: [{ name: 'v', default: 'x'.repeat(4_000) }] })).toEqual([
      expect.stringMatching(/body comes to 4\d{3} bytes .* with the defaults/),
    ])
    expect(warned('kakao', { body: 'x', buttons: [{ id: 'b', label: '{{v}} 조회' }] })).toEqual([
      expect.stringMatching(/label KakaoTalk takes 14 characters: with values of more than 11/),
    ])
  })
})

describe('a preview', () => {
  const preview = (channel: string, content: Json, values: Record<string, string>) =>
    previewOf(definitionOf(template(channel, content)), values, { workspaceId: 'demo', publicUrl })
  const said = (channel: string, content: Json, values: Record<string, string>): string[] =>
    preview(channel, content, values)
      .warnings.filter(({ message }) => /these values/.test(message))
      .map(({ path, message }) => `${path} ${message}`)

  it('says how large each message is, in its provider’s unit', () => {
    expect(preview('sms', { body: '보기 https://shop.example/{{v}} 끝' }, { v: 'x'.repeat(100) }).sizes).toEqual([
      { channelType: 'sms', path: `${at}/body`, unit: 'characters', size: '보기  끝'.length + publicUrl.length + 3 + 25, limit: 1_600 },
    ])
    expect(preview('push', { body: '{{v}}' }, { v: '가' }).sizes).toMatchObject([
      { provider: 'fcm', unit: 'bytes', limit: 4_096 },
      { provider: 'apns', unit: 'bytes', limit: 4_096 },
    ])
    expect(preview('kakao', button('https://shop.example/{{v}}'), { v: 'x'.repeat(500) }).sizes).toMatchObject([
      { size: 1 },
      { path: `${at}/buttons/0/label`, limit: 14 },
      { path: `${at}/buttons/0/url`, size: publicUrl.length + 28, limit: 100 },
    ])
    expect(preview('in_app', {}, {}).sizes).toMatchObject([{ path: at, unit: 'bytes', limit: 131_072 }])
  })
  it.each([4_000, 60_000])('says that a value of %i characters is too much', (length) => {
    expect(said('push', { body: '{{v}}' }, { v: 'x'.repeat(length) })).toEqual([
      expect.stringMatching(/as fcm counts them.*too_large/),
      expect.stringMatching(/as apns counts them.*too_large/),
    ])
    expect(said('sms', { body: '{{v}}' }, { v: 'x'.repeat(length) })).toEqual([
      expect.stringMatching(/body has \d+ characters .*too_large/),
    ])
  })
  it('says what would be empty, led astray or no address', () => {
    expect(said('sms', { body: '{{v}}' }, { v: ' ' })).toEqual([expect.stringContaining('(empty)')])
    expect(said('push', { url: '{{link}}' }, { link: 'javascript:1' })).toEqual([expect.stringMatching(/url would lead .*unsafe_address/)])
    expect(said('push', { url: '{{link}}' }, {})).toEqual([expect.stringMatching(/url is no address/)])
  })
  it('shows addresses as they will be', () => {
    expect(preview('push', { url: 'https://shop.example/{{v}}' }, { v: 'A 12/b' }).channels[0]!.content).toMatchObject({
      url: 'https://shop.example/A%2012%2Fb',
    })
  })
})
