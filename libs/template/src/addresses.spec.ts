// Values in addresses: what they become, where they may stand, and that none leads an address to another server.
import fc from 'fast-check'
import { addressProblems, rendered } from './render'
import type { Variable } from './template'

const variable = (name: string, type: Variable['type'] = 'string'): Variable => ({ name, type, required: false, default: null })
const schema = [variable('v'), variable('w'), variable('link', 'action'), variable('pic', 'image')]
const text = (body: string, v: string, more: Record<string, string> = {}): string =>
  rendered({ body }, { v, ...more }, { schema }).content.body
const faults = (content: object, values: Record<string, string>): string[] =>
  rendered(content, values, { schema }).faults.map(({ reason }) => reason)
const refused = (body: string, kind: 'text' | 'url' = 'text'): readonly string[] => addressProblems(body, kind, schema)

describe('a value inside an address', () => {
  it.each([
    ['Go https://shop.example/{{v}} now', 'A 12/b', 'Go https://shop.example/A%2012%2Fb now'],
    ['Go https://shop.example/s?q={{v}}&src=sms now', 'R&D #5 50%', 'Go https://shop.example/s?q=R%26D%20%235%2050%25&src=sms now'],
    ['보기 https://shop.example/{{v}}/42 끝', '신발', '보기 https://shop.example/%EC%8B%A0%EB%B0%9C/42 끝'],
    ['HTTPS://SHOP.EXAMPLE/{{v}}', 'a b', 'HTTPS://SHOP.EXAMPLE/a%20b'],
    ['https://shop.example/#{{v}}', '"x"', 'https://shop.example/#%22x%22'],
    ['https://shop.example?q={{ v }}', "a'b(c)!*.", 'https://shop.example?q=a%27b%28c%29%21%2A%2E'],
    ['https://shop.example/{{v}}', 'one\ntwo\tthree', 'https://shop.example/one%0Atwo%09three'],
    ['https://shop.example/{{v}}', '\ud83d', 'https://shop.example/%EF%BF%BD'],
    ['배송조회https://shop.example/{{v}}에서', 'A 1', '배송조회https://shop.example/A%201에서'],
    ['https://r.example/?to={{link}}', '', 'https://r.example/?to=https%3A%2F%2Fshop.example%2Fa'],
    ['보기 {{link}}?o={{v}} 끝', 'a b', '보기 https://shop.example/a?o=a%20b 끝'],
    ['{{link}}', '', 'https://shop.example/a'],
  ])('%s with %s', (body, v, expected) => expect(text(body, v, { link: 'https://shop.example/a' })).toBe(expected))

  it.each([
    ['Hi {{v}}, see https://shop.example/ and {{v}}', 'R&D #5'],
    ['(https://shop.example/a) {{v}}', 'R&D #5'],
    ['(https://shop.example/a){{v}}', 'R&D #5'],
    ['"https://shop.example/a"{{v}}', 'R&D #5'],
    ['https://shop.example/42에서{{v}}', '김 철수'],
    ['https://shop.example/42。{{v}}', '김 철수'],
    ['mailto:{{v}}', 'a b@c.example'],
    ['{{v}}:{{v}}', '10 30'],
    ['shop {{v}}/x', 'a b'],
  ])('stays as it is outside: %s', (body, v) => {
    expect(text(body, v)).toBe(body.replaceAll('{{v}}', v))
    expect(refused(body)).toEqual([])
  })

  it('is one component in every channel and field', () => {
    const content = {
      body: 'x https://s.example/{{v}}',
      title: 'https://s.example/{{v}}',
      imageUrl: 'https://s.example/{{v}}.png',
      url: 'https://s.example/{{v}}',
      buttons: [{ id: 'b', label: '{{v}}', url: 'https://s.example/?q={{v}}' }],
      data: { url: 'app/{{v}}', page: 'https://s.example/{{v}}' },
    }
    expect(rendered(content, { v: 'A 1/b' }).content).toEqual({
      body: 'x https://s.example/A%201%2Fb',
      title: 'https://s.example/A%201%2Fb',
      imageUrl: 'https://s.example/A%201%2Fb.png',
      url: 'https://s.example/A%201%2Fb',
      buttons: [{ id: 'b', label: 'A 1/b', url: 'https://s.example/?q=A%201%2Fb' }],
      data: { url: 'app/A 1/b', page: 'https://s.example/A%201%2Fb' },
    })
  })

  it('comes back from the address as it was, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
        (value) => {
          const made = rendered({ url: 'https://shop.example/s?q={{v}}&z=1' }, { v: value }).content.url
          expect(new URL(made).searchParams.get('q')).toBe(value)
          expect(new URL(made).searchParams.get('z')).toBe('1')
        },
      ),
    )
  })
})

const moves = [
  'https://shop.example{{v}}',
  'https://{{v}}/x',
  'https://{{v}}',
  'https://{{v}}.shop.example/',
  'https://shop.{{v}}/x',
  'https://shop.example:{{v}}/x',
  'https://{{v}}@shop.example/',
  'https://user:{{v}}@shop.example/',
  'HTTPS://SHOP.EXAMPLE{{v}}',
  'https://shop.example.{{v}}',
  'https://shop.example-{{v}}/x',
]

describe('what could lead an address to another server is refused when it is saved', () => {
  it.each([
    ...moves,
    'https:///{{v}}',
    'https:{{v}}',
    'https:/{{v}}',
    'https:\\\\{{v}}',
    'http{{v}}://shop.example/x',
    '{{v}}://shop.example/x',
    '{{v}}s://shop.example/x',
    'ht{{v}}tps://shop.example/',
    'https://shop.example。{{v}}',
    'https://shop.example){{v}}',
    'https://shop.example에서{{v}}',
    'https://shop.example,{{v}}',
    'https://good.example@evil.example',
    'https://good.example:pw@evil.example/x',
    'https://good.example\\@evil.example',
    'https://good.example\\{{v}}',
  ])('in a text: %s', (body) => {
    expect(refused(`Go ${body} now`)).toHaveLength(1)
    expect(refused(body)).toHaveLength(1)
  })

  it.each([
    ...moves,
    'https://good.example@evil.example',
    'https://good.example\\@evil.example',
    'https://shop.example {{v}}',
    '{{link}}{{v}}',
    '{{link}}.evil.example',
    '{{link}}@evil.example/',
    '{{link}}:80/',
  ])('in an address: %s', (url) => expect(refused(url, 'url')).toHaveLength(1))

  it.each([
    'https://shop.example/{{v}}',
    'https://shop.example?{{v}}',
    'https://shop.example#{{v}}',
    'https://shop.example/@{{v}}',
    'https://shop.example/a@b',
    'https://shop.example {{v}}',
    'http:///x',
    'x https://shop.example/{{v}}@{{w}}',
    'Mail a@b.example or {{v}}',
    '{{v}}: https://shop.example/',
    '{{link}}{{v}}',
    '{{link}}.',
    '{{v}}https://shop.example/x',
  ])('but not %s', (body) => expect(refused(body)).toEqual([]))

  it.each([
    'https://shop.example/{{v}}',
    '{{link}}',
    '{{ link }}?o={{v}}',
    '{{link}}/{{v}}',
    '{{pic}}#{{v}}',
    'https://shop.example?q={{v}}@x',
  ])('nor the address %s', (url) => expect(refused(url, 'url')).toEqual([]))
})

describe('templates approved before', () => {
  it.each(moves)('%s: no value leads it elsewhere', (url) => {
    for (const v of [
      '.evil.example/',
      '@evil.example/',
      'evil.example',
      '\\@evil.example',
      ':80',
      '\t.evil.example',
      '。evil.example',
      'x@evil.example/',
    ]) {
      expect(rendered({ url }, { v }).content.url).toBeNull()
      expect([faults({ url }, { v }), faults({ body: `Go ${url} now` }, { v })]).toEqual([['unsafe_address'], ['unsafe_address']])
    }
  })

  it('a value that begins the path of an address goes on to be one', () => {
    for (const [v, url] of [
      ['', 'https://shop.example'],
      ['/orders/1 2', 'https://shop.example/orders/1%202'],
      ['?a=1', 'https://shop.example?a=1'],
      ['#top', 'https://shop.example#top'],
    ] as const) {
      expect(rendered({ url: 'https://shop.example{{v}}' }, { v })).toEqual({ content: { url }, faults: [] })
    }
  })

  it.each([
    ['http{{v}}://shop.example/x', '://evil.example/?'],
    ['https:{{v}}', '//evil.example'],
    ['{{v}}https://shop.example/', 'https://evil.example/?'],
    ['{{v}}://shop.example/', 'https://evil.example/?x'],
    ['{{link}}{{v}}', '.evil.example/'],
    ['{{link}}&{{v}}', '.evil.example/'],
  ])('%s in a text with %s', (body, v) => expect(faults({ body }, { v, link: 'https://shop.example' })).toEqual(['unsafe_address']))

  it.each([
    ['http{{v}}://shop.example/{{w}}', 's', 'https://shop.example/a%20b'],
    ['Order {{v}}https://shop.example/{{w}}', 'x ', 'Order x https://shop.example/a%20b'],
  ])('%s with %s is as harmless as it was', (body, v, made) =>
    expect(rendered({ body }, { v, w: 'a b' })).toEqual({ content: { body: made }, faults: [] }),
  )
})

describe('an address that is one variable', () => {
  it('stays whole, whatever is in it', () => {
    for (const link of ['https://shop.example/a?b=c%20d#e', 'HTTP://SHOP.EXAMPLE:8080', 'https://쇼핑.example/상품']) {
      expect(rendered({ url: '{{link}}', imageUrl: '{{link}}' }, { link }, { schema })).toEqual({
        content: { url: link, imageUrl: link },
        faults: [],
      })
    }
  })
  it.each([
    'javascript:alert(1)',
    'shop',
    '//shop.example',
    'https://',
    'https:///x',
    'https://good.example@evil.example',
    'https://good.example\\@evil.example',
    'https://good.example\t@evil.example',
    ' https://shop.example',
  ])('is checked: %j', (link) => {
    expect(rendered({ url: '{{link}}' }, { link }, { schema })).toEqual({
      content: { url: null },
      faults: [{ path: ['url'], reason: 'unsafe_address' }],
    })
  })
  it('is none without a value, and that is told apart', () => {
    expect(rendered({ buttons: [{ url: '{{link}}?o={{v}}' }] }, { v: '1' }, { schema })).toEqual({
      content: { buttons: [{ url: null }] },
      faults: [{ path: ['buttons', 0, 'url'], reason: 'no_address' }],
    })
  })
  it('no value behind it leads it elsewhere', () => {
    for (const url of ['{{link}}{{v}}', '{{link}}&{{v}}', '{{link}}.{{v}}'])
      expect(faults({ url }, { link: 'https://shop.example', v: 'evil.example' })).toEqual(['unsafe_address'])
  })
})

it('no value of any kind moves an address whose host is fixed', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('.', '/', '\\', '@', ':', '#', '?', 'e', 'v', '\t', '\n', '%', '2', 'f', '。', '{', '}') }),
  )
  fc.assert(
    fc.property(
      hostile,
      hostile,
      fc.constantFrom(
        'https://shop.example/{{v}}/{{w}}',
        'https://shop.example?{{v}}={{w}}',
        'https://shop.example{{v}}{{w}}',
        'https://shop.example#{{v}}',
      ),
      (v, w, url) => {
        const made = rendered({ url }, { v, w }).content.url as string | null
        if (made !== null) expect(new URL(made).origin + new URL(made).username).toBe('https://shop.example')
      },
    ),
    { numRuns: 500 },
  )
})

it('a preview leaves what is missing as it is written', () => {
  expect(
    rendered({ body: 'https://shop.example/{{ v }}?{{w}}', url: '{{link}}' }, { w: 'a b' }, { schema, missing: ['v', 'link'] }).content,
  ).toEqual({
    body: 'https://shop.example/{{ v }}?a%20b',
    url: '{{link}}',
  })
})

it('long texts are taken apart in time', () => {
  const begun = performance.now()
  for (const part of ['{{v}}', 'https://', ':', 'http{{v}}', 'https://a/', '(', '{{v}}:', 'aaaa', '에서', '👉'])
    rendered({ body: part.repeat(20_000 / part.length) }, { v: 'x' }, { schema })
  expect(performance.now() - begun).toBeLessThan(2_000)
})
