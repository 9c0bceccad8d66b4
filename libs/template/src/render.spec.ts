// Rendering as a marketer would describe it.
import { isHttpUrl, render, renderPreview, strangePlaceholder, variablesIn } from './render'

const content = {
  title: 'Hi {{name}}',
  body: 'Order {{ orderNo }}, {{name}}',
  imageUrl: null,
  buttons: [{ id: 'track', label: 'Track {{orderNo}}', url: 'https://shop.example/{{orderNo}}' }],
}

it('replaces every {{name}}, however deep, and leaves the content itself alone', () => {
  const before = structuredClone(content)
  expect(render(content, { name: 'Ann', orderNo: '42' })).toEqual({
    title: 'Hi Ann',
    body: 'Order 42, Ann',
    imageUrl: null,
    buttons: [{ id: 'track', label: 'Track 42', url: 'https://shop.example/42' }],
  })
  expect(content).toEqual(before)
})

it('escapes nothing and renders a value only once', () => {
  expect(render('{{a}}', { a: '<b>{{b}} $& $1</b>', b: 'x' })).toBe('<b>{{b}} $& $1</b>')
})

it('a variable without a value renders as nothing; in a preview the missing ones stay visible', () => {
  expect(render('Hi {{name}}!', {})).toBe('Hi !')
  expect(render('{{toString}}{{__proto__}}', {})).toBe('')
  expect(renderPreview({ body: 'Hi {{name}}, {{other}}', url: '{{link}}' }, {}, ['name', 'link'])).toEqual({
    body: 'Hi {{name}}, ',
    url: '{{link}}',
  })
})

it('an address that a value turns into another scheme is dropped', () => {
  expect(render({ url: '{{link}}', label: '{{link}}' }, { link: 'javascript:alert(1)' })).toEqual({
    url: null,
    label: 'javascript:alert(1)',
  })
  expect(render({ data: { url: 'app/{{link}}' } }, { link: '1' })).toEqual({ data: { url: 'app/1' } })
  expect(render({ url: '{{link}}' }, { link: 'https://a.example/x' })).toEqual({ url: 'https://a.example/x' })
})

it('names the variables used and what is no variable', () => {
  expect(variablesIn('{{a}} {{ b }} {{a}}')).toEqual(['a', 'b', 'a'])
  expect(strangePlaceholder('{{a}} {single} braces')).toBeNull()
  for (const strange of ['{{a.b}}', '{{#if x}}', '{{', '}} left', '{{1a}}']) expect(strangePlaceholder(strange)).not.toBeNull()
})

it('an http(s) URL is absolute', () => {
  for (const url of ['https://a.example', 'HTTP://a/b?c#d']) expect(isHttpUrl(url)).toBe(true)
  for (const url of ['', '/a', 'ftp://a', 'javascript:1', 'https://', 'https:///x', ' https://a']) expect(isHttpUrl(url)).toBe(false)
})
