// What is sent to a person, or why it is not: nothing to read, too much, an address led astray. And what each channel counts.
import { compose } from './compose'
import { limits, oversize, sizesOf, utf8Length } from './limits'
import { holdsTrackedLink } from './ownLinks'
import { nearMisses } from './placeholders'
import type { ContentOf } from './template'

const names = { messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.1.push', workspaceId: 'demo', userId: 'user-1' }
const push: ContentOf['push'] = { title: '{{title}}', body: '{{v}}', url: null, data: {} }
const sms: ContentOf['sms'] = { body: '{{v}}', trackLinks: true }
const kakao: ContentOf['kakao'] = { senderKey: 's', templateCode: 't', body: '{{v}}', buttons: [] }
const inApp: ContentOf['in_app'] = { title: '{{title}}', body: '{{v}}', imageUrl: null, buttons: [] }
const schema = [{ name: 'link', type: 'action', required: false, default: null }] as const

describe('nothing to read', () => {
  it.each([
    '',
    ' ',
    '\n\t ',
    '\u00a0\u3000',
    '\u200b\u200d\ufeff',
    '\u2060\u00ad',
    '\u3164\u115f\uffa0',
    '\u2800',
    '\u202e\u202c',
    '\u0007',
    '\ufe0f',
    '\u{e0020}',
  ])('%j is empty on every channel', (v) => {
    const variables = { v, title: 'Shop' }
    expect([
      compose('push', push, variables, []),
      compose('sms', sms, variables, []),
      compose('kakao', kakao, variables, []),
      compose('in_app', inApp, variables, []),
    ]).toEqual(Array(4).fill({ problem: 'empty' }))
  })
  it.each(['.', '0', '👍', ' a ', '\u200b-\u200b'])('%j is not', (v) =>
    expect(compose('sms', sms, { v }, [])).toEqual({ content: { body: v, trackLinks: true } }),
  )
  it('a value that is missing is nothing', () => expect(compose('sms', sms, {}, [])).toEqual({ problem: 'empty' }))
  it('a title may be empty', () => expect(compose('push', push, { v: 'x' }, [])).toMatchObject({ content: { title: '' } }))
})

describe('an address of which nothing is left', () => {
  it('leaves a push and a button of the feed without a link', () => {
    expect(compose('push', { ...push, url: '{{link}}' }, { v: 'x' }, schema)).toMatchObject({ content: { url: null } })
    const buttons = [{ id: 'b', label: 'l', url: '{{link}}' }]
    expect(compose('in_app', { ...inApp, buttons }, { v: 'x' }, schema)).toMatchObject({ content: { buttons: [{ id: 'b', url: null }] } })
  })
  it('an Alimtalk is not sent without a button or label that Kakao has approved', () => {
    const button = (label: string, url: string | null): ContentOf['kakao'] => ({ ...kakao, buttons: [{ id: 'b', label, url }] })
    expect(compose('kakao', button('l', '{{link}}'), { v: 'x' }, schema)).toEqual({ problem: 'empty' })
    expect(compose('kakao', button('{{w}}', null), { v: 'x', w: ' ' }, schema)).toEqual({ problem: 'empty' })
    expect(compose('kakao', button('l', null), { v: 'x' }, schema)).toHaveProperty('content')
  })
  it('what is none fails the message', () => {
    expect(compose('push', { ...push, url: '{{link}}' }, { v: 'x', link: 'javascript:1' }, schema)).toEqual({ problem: 'unsafe_address' })
    expect(compose('sms', { ...sms, body: 'https://shop.example{{v}}' }, { v: '@evil.example' }, schema)).toEqual({
      problem: 'unsafe_address',
    })
  })
})

describe('sizes', () => {
  const ofPush = (body: string, provider: string): boolean =>
    oversize('push', { title: 't', body, url: null, data: {} }, names, provider) !== null
  it('are counted in the bytes of UTF-8 for a push, with its data and ours', () => {
    for (const provider of ['fcm', 'apns']) {
      expect([ofPush('가'.repeat(1_200), provider), ofPush('가'.repeat(1_500), provider)]).toEqual([false, true])
      expect([ofPush('👨‍👩‍👧‍👦'.repeat(130), provider), ofPush('x'.repeat(3_900), provider), ofPush('"'.repeat(2_100), provider)]).toEqual([
        false,
        false,
        true,
      ])
    }
    const data = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'x'.repeat(1_000)]))
    expect(oversize('push', { title: 't', body: 'b', url: null, data }, names, 'fcm')).toMatchObject({ limit: 4_096 })
  })
  it('say what FCM and APNs count, to the byte', () => {
    const [fcm, apns] = sizesOf('push', { title: 't', body: '가👍\u00e9"', url: 'https://a.example', data: { a: 'b' } }, names)
    const ours = {
      stepcast_message_id: names.messageId,
      stepcast_workspace_id: 'demo',
      stepcast_user_id: 'user-1',
      stepcast_url: 'https://a.example',
    }
    const alert = { title: 't', body: '가👍\u00e9"' }
    expect(fcm!.size).toBe(Buffer.byteLength(JSON.stringify({ notification: alert, data: { a: 'b', ...ours } })))
    expect(apns!.size).toBe(Buffer.byteLength(JSON.stringify({ a: 'b', ...ours, aps: { alert, 'mutable-content': 1 } })))
  })
  it('are what their provider counts, at the edge', () => {
    for (const provider of ['fcm', 'apns'] as const) {
      const of = (body: string): number =>
        sizesOf('push', { title: 't', body, url: null, data: {} }, names).find((one) => one.provider === provider)!.size
      const room = limits.push.bytes - of('')
      expect([ofPush('x'.repeat(room), provider), ofPush('x'.repeat(room + 1), provider)]).toEqual([false, true])
    }
    expect([1_600, 1_601].map((n) => oversize('sms', { body: 'x'.repeat(n), trackLinks: false }, names, 'twilio')?.size)).toEqual([
      undefined,
      1_601,
    ])
    expect([1_000, 1_001].map((n) => oversize('kakao', { ...kakao, body: '가'.repeat(n) }, names, 'solapi')?.size)).toEqual([
      undefined,
      1_001,
    ])
    expect(oversize('sms', { body: '👋'.repeat(801), trackLinks: false }, names, 'twilio')).toMatchObject({
      size: 1_602,
      limit: 1_600,
      path: '/body',
    })
  })
  it('of KakaoTalk buttons and of a feed item are limited too', () => {
    const button = (label: string, url: string | null) =>
      oversize('kakao', { ...kakao, body: 'b', buttons: [{ id: 'b', label, url }] }, names, 'solapi')
    expect([button('가'.repeat(14), null), button('가'.repeat(15), null)]).toEqual([
      null,
      { path: '/buttons/0/label', unit: 'characters', size: 15, limit: 14 },
    ])
    expect(button('l', `https://shop.example/${'x'.repeat(80)}`)).toMatchObject({ path: '/buttons/0/url', size: 101 })
    expect(oversize('in_app', { ...inApp, body: '가'.repeat(44_000) }, names, 'feed')).toMatchObject({ unit: 'bytes', limit: 131_072 })
    expect(oversize('in_app', { ...inApp, body: 'x'.repeat(64 * 1024) }, names, 'feed')).toBeNull()
  })
  it('beyond every limit are not even written out', () => {
    const begun = performance.now()
    expect(compose('in_app', { ...inApp, body: '{{v}}'.repeat(800) }, { v: 'x'.repeat(60_000) }, [])).toEqual({ problem: 'too_large' })
    expect(performance.now() - begun).toBeLessThan(100)
  })
  it('count UTF-8 as it is', () => {
    for (const one of ['', 'a', '\u00e9', '가', '👋', 'a가👋\u07ff\u0800']) expect(utf8Length(one)).toBe(Buffer.byteLength(one))
  })
})

describe('tracked links of ours', () => {
  const token = `s${'A'.repeat(24)}`
  it.each([
    'https://go.example/l/',
    'as before: https://go.example/l/TOKEN.',
    'HTTPS://GO.EXAMPLE/l/TOKEN',
    'http://go.example/l/TOKEN',
    'https://go.example:443/l/TOKEN',
    'https://go.example./l/TOKEN',
    'https://go.example//l//TOKEN',
    'https://go.example/%6C/TOKEN',
    'https://go.example/%6c%2fTOKEN',
    'https://go.example/x/../l/TOKEN',
    'https://go.example/./l/TOKEN',
    'https://go.example\\l\\TOKEN',
    'go.example/l/TOKEN',
    '(go.example/l/TOKEN)',
    'https://user@go.example/l/TOKEN',
    'https://go.example/l/{{v}}',
    'https://go.example/l/{{v}}/x',
  ])('are seen: %s', (text) => expect(holdsTrackedLink(text.replace('TOKEN', token), 'https://go.example')).toBe(true))
  it.each([
    'https://go.example/',
    'https://go.example/list',
    'https://go.example/l',
    'https://go.example/a/l/x',
    'https://other.example/l/TOKEN',
    'https://nogo.example/l/TOKEN',
    'https://go.example.evil.example/l/TOKEN',
    'https://go.example:8080/l/TOKEN',
    'go.example',
    'and/or l/x',
    'https://shop.example/?x=y',
  ])('are not these: %s', (text) => expect(holdsTrackedLink(text.replace('TOKEN', token), 'https://go.example')).toBe(false))
  it('whatever the public address is', () => {
    expect(holdsTrackedLink('http://localhost:8080/l/x', 'http://localhost:8080')).toBe(true)
    expect(holdsTrackedLink('http://localhost:8081/l/x', 'http://localhost:8080')).toBe(false)
    expect(holdsTrackedLink('https://shop.example/go/l/x', 'https://shop.example/go')).toBe(true)
    expect(holdsTrackedLink('https://shop.example/l/x', 'https://shop.example/go')).toBe(false)
    expect(holdsTrackedLink('https://쇼핑.example/l/x', 'https://xn--2i4b11kc0d.example')).toBe(
      new URL('https://쇼핑.example').hostname === 'xn--2i4b11kc0d.example',
    )
  })
})

describe('near misses of a variable', () => {
  it.each([
    '{{{x}}}',
    '{{{ x }}}',
    '#{x}',
    '${x}',
    '%x%',
    '<%= x %>',
    '<%x%>',
    '｛｛x｝｝',
    '｛x｝',
    '{x}',
    '%{x}',
    '[[x]]',
    '*|x|*',
    '{% x %}',
    '#{X}',
  ])('%s', (written) => {
    expect(nearMisses(`Order ${written} / {{x}}`, ['x', 'y'])).toEqual([{ written, name: 'x' }])
  })
  it.each(['{{x}}', '#{{x}}', '{{ x }}', '#{z}', '100% off 50%', '{ }', '[x]', 'x', '%d{{x}}%'])('not %s', (written) =>
    expect(nearMisses(written, ['x'])).toEqual([]),
  )
})
