// Reads Server-Sent Events out of text that arrives in pieces (https://html.spec.whatwg.org/multipage/server-sent-events.html).

/** One event. */
export interface StreamEvent {
  readonly event: string
  readonly data: string
  /** The last id given so far, by this event or one before; empty: none yet. */
  readonly id: string
}

// An item is some kilobytes at most; a stream with a longer line or event is none of ours.
const charactersAtMost = 1_000_000

/** The state of one stream between two pieces of text. */
export class EventStreamParser {
  /** The last id given, also by a block without data; empty: none yet. */
  lastEventId = ''
  private line = ''
  private endedByReturn = false
  private event = ''
  private id = ''
  private data: string[] = []
  private dataLength = 0

  /** Takes the next piece of text and tells the events it completes. Throws when a line or an event exceeds 1,000,000 characters. */
  push(text: string): StreamEvent[] {
    const events: StreamEvent[] = []
    let rest = text
    while (rest !== '') {
      // CR LF in two pieces is still one end of line.
      if (this.endedByReturn && rest.startsWith('\n')) rest = rest.slice(1)
      this.endedByReturn = false
      const end = rest.search(/[\r\n]/)
      this.line += end < 0 ? rest : rest.slice(0, end)
      if (this.line.length + this.dataLength > charactersAtMost) {
        throw new RangeError(`An event is longer than ${charactersAtMost} characters: this is no stream of Stepcast's.`)
      }
      if (end < 0) break
      this.endedByReturn = rest[end] === '\r'
      rest = rest.slice(end + 1)
      const event = this.take(this.line)
      this.line = ''
      if (event !== null) events.push(event)
    }
    return events
  }

  private take(line: string): StreamEvent | null {
    if (line === '') return this.complete()
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'event') this.event = value
    else if (name === 'data') {
      this.data.push(value)
      this.dataLength += value.length + 1
    } else if (name === 'id' && !value.includes('\0')) this.id = value
    // Comments (an empty name), `retry` and whatever is unknown say nothing to us.
    return null
  }

  private complete(): StreamEvent | null {
    const { event, data } = this
    this.lastEventId = this.id
    this.event = ''
    this.data = []
    this.dataLength = 0
    return data.length === 0 ? null : { event: event === '' ? 'message' : event, data: data.join('\n'), id: this.lastEventId }
  }
}
