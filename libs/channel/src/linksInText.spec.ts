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
  ])('are not these: %s', (text) => expect(found(text)).toEqual([]))

  it.each([')', ']', '.', '()', '(('])('are found in time, however much of %s is written behind them', (tail) => {
    const begun = performance.now()
    replaceLinks(`https://shop.example/42${tail.repeat(60_000 / tail.length)}`, (url) => url)
    expect(performance.now() - begun).toBeLessThan(500)
  })

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
