// Which part of a text is a link, and which links may be hidden behind a short one.
import fc from 'fast-check'
import { isTrackable, replaceLinks } from './linksInText'

const found = (text: string): string[] => {
  const urls: string[] = []
  replaceLinks(text, (url) => (urls.push(url), url))
  return urls
}

describe('links in a text', () => {
  it.each([
    ['Track it: https://shop.example/42', ['https://shop.example/42']],
    ['https://a.example/1 and http://b.example:8080/2?x=1&y=2#top', ['https://a.example/1', 'http://b.example:8080/2?x=1&y=2#top']],
    ['HTTPS://SHOP.EXAMPLE/A', ['HTTPS://SHOP.EXAMPLE/A']],
    ['the same https://a.example/ and https://a.example/', ['https://a.example/', 'https://a.example/']],
  ])('are found: %s', (text, urls) => expect(found(text)).toEqual(urls))

  it.each([
    ['See https://shop.example/42.', 'https://shop.example/42'],
    ['Really https://shop.example/42?!', 'https://shop.example/42'],
    ['(https://shop.example/42)', 'https://shop.example/42'],
    ['[https://shop.example/42],', 'https://shop.example/42'],
    ["'https://shop.example/42'", 'https://shop.example/42'],
    ['<https://shop.example/42>', 'https://shop.example/42'],
    ['"https://shop.example/42"', 'https://shop.example/42'],
    ['https://wiki.example/Step_(cast)', 'https://wiki.example/Step_(cast)'],
    ['(see https://wiki.example/Step_(cast))', 'https://wiki.example/Step_(cast)'],
  ])('leave the punctuation around them alone: %s', (text, url) => expect(found(text)).toEqual([url]))

  it.each([
    ['배송조회https://shop.example/42에서 확인하세요', 'https://shop.example/42'],
    ['주소는 https://shop.example/42입니다.', 'https://shop.example/42'],
    ['「https://shop.example/42」', 'https://shop.example/42'],
    ['https://shop.example/42。', 'https://shop.example/42'],
    ['👉https://shop.example/42👈', 'https://shop.example/42'],
  ])('end where another alphabet begins: %s', (text, url) => expect(found(text)).toEqual([url]))

  it.each([
    'no link here',
    'shop.example/42',
    'ftp://shop.example/42',
    'javascript:alert(1)',
    '//evil.example/x',
    'https://',
    'https://user:secret@bank.example/',
    'https://bank.example@evil.example/',
    `https://long.example/${'x'.repeat(2_048)}`,
    // Nothing that a phone links, though browsers would make an address of it.
    'http:///x',
    'https:/shop.example/x',
    'https:shop.example',
    // Another host than is seen at a glance, or none that can be told from the words behind it.
    'https://쇼핑.example/x',
    'https://a쇼핑.example/x',
    'https://shop.example:99999/x',
    'https://user:secret@bank.example/?u=https://shop.example/x',
  ])('are not these: %s', (text) => expect(found(text)).toEqual([]))

  it.each([
    ['보기 https://shop.example/상품/42 감사', 'https://shop.example/상품/42'],
    ['https://shop.example/find?q=신발&id=42', 'https://shop.example/find?q=신발&id=42'],
    ['https://shop.example/신발 보기', 'https://shop.example/신발'],
    ['https://shop.example/caf\u00e9', 'https://shop.example/caf\u00e9'],
    ['https://shop.example/상품/42에서 확인', 'https://shop.example/상품/42'],
    ['https://shop.example/상품。', 'https://shop.example/상품'],
    ['https://shop.example/p?utm_term=red|blue&id=7', 'https://shop.example/p?utm_term=red|blue&id=7'],
    ['https://shop.example/p?q={x}&id=7', 'https://shop.example/p?q={x}&id=7'],
    ['https://shop.example/p?a=b^c&d=`e`&f=1', 'https://shop.example/p?a=b^c&d=`e`&f=1'],
    ['https://shop.example/a\\b/c', 'https://shop.example/a\\b/c'],
    ["https://shop.example/Jack's+Bar now", "https://shop.example/Jack's+Bar"],
    ['https://shop.example/?a=1&amp;b=2', 'https://shop.example/?a=1&amp;b=2'],
    ['https://shop.example/a;b=1; next', 'https://shop.example/a;b=1'],
    ['http://[2001:db8::1]:8080/x', 'http://[2001:db8::1]:8080/x'],
    ['https://a.example/?u=https://b.example/x&y=1', 'https://a.example/?u=https://b.example/x&y=1'],
    ['(https://wiki.example/a_(b)).', 'https://wiki.example/a_(b)'],
    ['{https://shop.example/42}', 'https://shop.example/42'],
    ['|https://shop.example/42|', 'https://shop.example/42'],
  ])('are whole where a phone shows them whole: %s', (text, url) => expect(found(text)).toEqual([url]))

  it.each([
    ['https://shop.example/42…', 'https://shop.example/42'],
    ['https://shop.example/42\u200b에서', 'https://shop.example/42'],
    ['https://shop.example/42\u200f', 'https://shop.example/42'],
    ['https://shop.example/42로 가세요', 'https://shop.example/42'],
    ['https://shop.example에서 보세요', 'https://shop.example'],
    ['https://shop.example/42👉https://b.example/1', 'https://shop.example/42', 'https://b.example/1'],
    ['[https://a.example/1](https://b.example/2)', 'https://a.example/1', 'https://b.example/2'],
    ['"https://a.example/1","https://b.example/2"', 'https://a.example/1', 'https://b.example/2'],
  ])('end where what follows is surely text: %s', (text, ...urls) => expect(found(text)).toEqual(urls))

  it.each([
    'https://shop.example/2024신상',
    'https://shop.example/42!확인',
    'https://shop.example/😀/42',
    'https://shop.example/a..|y',
    '点击https://shop.example/42查看',
  ])('are left alone where nobody can tell where they end: %s', (text) => expect(found(text)).toEqual([]))

  it.each([')', ']', '.', '()', '((', '신', '신발/', '"', "'", '{', 'https://a.example/(', '!', '에서', '👉'])(
    'are found in time, however much of %s is written behind them',
    (tail) => {
      const begun = performance.now()
      replaceLinks(`https://shop.example/42${tail.repeat(60_000 / tail.length)}`, (url) => url)
      expect(performance.now() - begun).toBeLessThan(500)
    },
  )

  it('are all that changes of a text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.webUrl(), fc.constantFrom('한국어', '(', ')', '.', ' ')), { maxLength: 8 }),
        (parts) => {
          const text = parts.join('')
          expect(replaceLinks(text, (url) => url)).toBe(text)
          replaceLinks(text, (url) => (expect(isTrackable(url)).toBe(true), url))
        },
      ),
    )
  })
})
