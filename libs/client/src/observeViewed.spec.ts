// When an element counts as seen, in a real browser (skipped where there is none).
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { transformFile } from '@swc/core'
import { chromium, openPage } from '@stepcast/testing'

// In the window of 600 pixels: `top` is on the screen, `below` and `tall` (5 windows) are further down.
const page = `<!doctype html><title>Seen</title>
<style>body { margin: 0 } div { height: 300px } #gap, #gap2 { height: 2000px } #tall { height: 3000px }</style>
<div id="top"></div><div id="gap"></div><div id="below"></div><div id="gap2"></div><div id="tall"></div>
<script type="module">
  import { observeSeen } from '/observeViewed.mjs'
  const seen = []
  const watch = (id, options) => observeSeen(document.getElementById(id), () => seen.push(id), { afterMs: 300, ...options })
  const wait = (ms) => new Promise((done) => setTimeout(done, ms))
  const scrollTo = (id, offset = 0) => window.scrollTo(0, document.getElementById(id).offsetTop + offset)
  const report = {}
  const note = (what) => { report[what] = [...seen]; seen.length = 0 }

  const stopWatching = watch('top')
  stopWatching()
  await wait(800)
  note('told to stop')

  for (const id of ['top', 'below', 'tall']) watch(id)
  await wait(1000)
  note('on the screen')

  scrollTo('below', -550)
  await wait(1000)
  note('less than half')

  scrollTo('below')
  await wait(100)
  window.scrollTo(0, 0)
  await wait(1000)
  note('in passing')

  Object.defineProperty(document, 'visibilityState', { configurable: true, value: 'hidden' })
  document.dispatchEvent(new Event('visibilitychange'))
  scrollTo('below')
  await wait(1000)
  note('on a page behind')

  delete document.visibilityState
  document.dispatchEvent(new Event('visibilitychange'))
  await wait(1000)
  note('on the page in front again')

  window.scrollTo(0, 0)
  await wait(500)
  scrollTo('below')
  await wait(1000)
  note('a second time')

  scrollTo('tall', 500)
  await wait(1000)
  note('larger than the screen')
  await fetch('/report', { method: 'POST', body: JSON.stringify(report) })
</script>`

let server: Server
let url: string
let reported: Promise<Record<string, string[]>>

beforeAll(async () => {
  let report: (found: Record<string, string[]>) => void
  reported = new Promise((done) => (report = done))
  server = createServer((request, response) => {
    if (request.url === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    if (request.url === '/report') {
      let text = ''
      request.on('data', (data) => (text += data)).on('end', () => report(JSON.parse(text)))
      return void response.end()
    }
    // As the build does it.
    transformFile(join(__dirname, 'observeViewed.ts'), { swcrc: false, jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }).then(
      ({ code }) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(code),
      () => response.destroy(),
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const itInBrowser = chromium === null ? it.skip : it

itInBrowser(
  'is seen when half of it, or of the screen, was there long enough on a page in front, once',
  async () => {
    const close = await openPage(url)
    try {
      expect(await reported).toEqual({
        'told to stop': [],
        'on the screen': ['top'],
        'less than half': [],
        'in passing': [],
        'on a page behind': [],
        'on the page in front again': ['below'],
        'a second time': [],
        'larger than the screen': ['tall'],
      })
    } finally {
      await close()
    }
  },
  60_000,
)
