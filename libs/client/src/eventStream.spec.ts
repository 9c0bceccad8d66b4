// Server-Sent Events as the standard says, wherever the network cuts the text.
import fc from 'fast-check'
import { EventStreamParser, type StreamEvent } from './eventStream'

const read = (...pieces: string[]): StreamEvent[] => {
  const parser = new EventStreamParser()
  return pieces.flatMap((piece) => parser.push(piece))
}

it('an event ends with an empty line and keeps the id given last', () => {
  expect(read('id: 7\nevent: item\ndata: {"a":1}\n\ndata: b\n\n')).toEqual([
    { event: 'item', data: '{"a":1}', id: '7' },
    { event: 'message', data: 'b', id: '7' },
  ])
})

it('several lines of data are one text; one space after the colon is dropped, no more', () => {
  expect(read('data:a\ndata:  b\ndata\n\n')).toEqual([{ event: 'message', data: 'a\n b\n', id: '' }])
})

it('comments, unknown fields, retry and blocks without data are no events, but their id counts', () => {
  const parser = new EventStreamParser()
  expect(parser.push(': open\n\nretry: 5\nevent: item\nid: 9\n\nfoo: x\n\n')).toEqual([])
  expect(parser.lastEventId).toBe('9')
})

it('an id with NUL is ignored; an id without value forgets', () => {
  expect(read('id: 1\nid: 2\0\ndata: a\n\n')[0]!.id).toBe('1')
  expect(read('id: 1\ndata: a\n\nid\ndata: b\n\n')[1]!.id).toBe('')
})

it('the id of an event that is not complete does not count yet', () => {
  const parser = new EventStreamParser()
  parser.push('id: 1\ndata: a\n\nid: 2\ndata: b\n')
  expect(parser.lastEventId).toBe('1')
})

it('what has no end is refused, not kept', () => {
  expect(() => read('data: ', 'x'.repeat(1_000_001))).toThrow('longer than 1000000')
  expect(() => read(...Array<string>(11).fill(`data: ${'x'.repeat(100_000)}\n`))).toThrow('longer than 1000000')
})

const line = fc.string({ unit: fc.constantFrom('a', ' ', ':', '💬', '{', '"', 'é'), maxLength: 8 })
const event = fc.record({
  event: fc.constantFrom('item', 'hidden', 'unread'),
  data: fc.array(line, { minLength: 1, maxLength: 3 }),
  id: fc.nat().map(String),
})
const end = fc.constantFrom('\n', '\r', '\r\n')

it('any text reads the same wherever it is cut and however its lines end', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(event, end, fc.boolean()), { maxLength: 6 }), fc.infiniteStream(fc.nat(5)), (events, cuts) => {
      let text = ''
      for (const [{ event: name, data, id }, eol, comment] of events) {
        const lines = [...(comment ? [': 25 s'] : []), `id: ${id}`, `event: ${name}`, ...data.map((part) => `data: ${part}`), '', '']
        text += lines.join(eol)
      }
      const pieces: string[] = []
      for (let at = 0; at < text.length; ) {
        const length = cuts.next().value as number
        pieces.push(text.slice(at, at + length))
        at += length
      }
      const expected = events.map(([{ event: name, data, id }]) => ({ event: name, data: data.join('\n'), id }))
      expect(read(...pieces)).toEqual(expected)
    }),
  )
})
