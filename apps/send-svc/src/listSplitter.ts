// Takes the JSON text of an object apart at the items of one of its lists, as it comes: no body is ever held as one value.
import { maxJsonDepth, tooDeep, unreadable } from '@stepcast/service'

/** What a splitter is bounded by, and what it does. */
export interface ListSplitterOptions {
  /** The name of the list. */
  readonly list: string
  /** Bytes of one item, and of all that is no item, at most. */
  readonly itemBytes: number
  readonly restBytes: number
  /** Called with the text of each item, in their order. */
  readonly onItem: (item: Buffer, index: number) => void
  /** Called when an item, or the rest (null), is larger than allowed: throw. */
  readonly onTooLarge: (index: number | null) => never
}

const [quote, backslash, comma, colon, openBrace, closeBrace, openBracket, closeBracket, zero] = [
  '"',
  '\\',
  ',',
  ':',
  '{',
  '}',
  '[',
  ']',
  '0',
].map((sign) => sign.charCodeAt(0)) as [number, number, number, number, number, number, number, number, number]
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * Finds where items begin and end, and nothing more: whether they and the rest are JSON is for `JSON.parse` to say. It looks only at bytes
 * below 128, which in UTF-8 are never part of another character.
 */
export class ListSplitter {
  private readonly rest = new Growing()
  private readonly item = new Growing()
  private depth = 0
  private inString = false
  private escaped = false
  /** At the first level: whether a string that begins now is the name of a field, and which one was read last. */
  private nameComes = false
  private readonly name = new Growing()
  private inName = false
  private inList = false
  private inItem = false
  private listSeen = false
  private items = 0

  constructor(private readonly options: ListSplitterOptions) {}

  /** Takes the next piece. @throws Problem 400 for what is nested too deep or names the list twice; what `onTooLarge` throws */
  push(piece: Buffer): void {
    for (const byte of piece) this.take(byte)
  }

  /** The text of the object, with `0` in the place of each item. */
  end(): Buffer {
    return this.rest.taken()
  }

  private take(byte: number): void {
    if (this.inString) {
      this.keep(byte)
      if (this.inName) this.name.add(byte)
      if (this.escaped) this.escaped = false
      else if (byte === backslash) this.escaped = true
      else if (byte === quote) this.inString = this.inName = false
      return
    }
    switch (byte) {
      case quote:
        this.inString = true
        this.inName = this.depth === 1 && this.nameComes
        if (this.inName) {
          this.name.clear()
          this.name.add(byte)
        }
        break
      case openBrace:
      case openBracket:
        return this.open(byte)
      case closeBrace:
      case closeBracket:
        return this.close(byte)
      case comma:
        if (this.inList && this.depth === 2) return this.endItem(byte)
        if (this.depth === 1) this.nameComes = true
        break
      case colon:
        if (this.depth === 1) this.nameComes = false
        break
    }
    this.keep(byte)
  }

  private open(byte: number): void {
    // First the item: it may begin with this.
    this.keep(byte)
    if (++this.depth > maxJsonDepth) throw tooDeep()
    if (this.depth === 1) this.nameComes = byte === openBrace
    else if (this.depth === 2 && byte === openBracket && !this.inList && !this.nameComes && this.nameIs(this.options.list)) {
      if (this.listSeen) throw unreadable([{ path: `/${this.options.list}`, message: 'is given twice: give one list' }])
      this.inList = this.listSeen = true
    }
  }

  private close(byte: number): void {
    if (this.inList && this.depth === 2) {
      this.depth--
      this.inList = false
      return this.endItem(byte)
    }
    this.depth--
    this.keep(byte)
  }

  /** At a comma or the end of the list, which belong to the rest. */
  private endItem(byte: number): void {
    if (this.inItem) {
      this.inItem = false
      this.keepInRest(zero)
      this.options.onItem(this.item.taken(), this.items++)
    }
    this.keepInRest(byte)
  }

  private keep(byte: number): void {
    if (!this.inList) return this.keepInRest(byte)
    if (!this.inItem && isBlank(byte)) return
    this.inItem = true
    this.item.add(byte)
    if (this.item.length > this.options.itemBytes) this.options.onTooLarge(this.items)
  }

  private keepInRest(byte: number): void {
    this.rest.add(byte)
    if (this.rest.length > this.options.restBytes) this.options.onTooLarge(null)
  }

  private nameIs(name: string): boolean {
    // A name may be written with escapes; one so long is not ours.
    if (this.name.length > 200) return false
    try {
      return JSON.parse(this.name.text()) === name
    } catch {
      return false
    }
  }
}

/** Bytes that become more. */
class Growing {
  private bytes = Buffer.allocUnsafe(256)
  length = 0

  add(byte: number): void {
    if (this.length === this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.allocUnsafe(this.bytes.length)])
    this.bytes[this.length++] = byte
  }

  clear(): void {
    this.length = 0
  }

  text(): string {
    return this.bytes.toString('utf8', 0, this.length)
  }

  /** What is here, as a copy; begins anew. */
  taken(): Buffer {
    const taken = Buffer.from(this.bytes.subarray(0, this.length))
    this.length = 0
    return taken
  }
}
