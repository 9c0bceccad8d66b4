// Answers kept for a few seconds, so that a key costs the database one query and not one per request.

/** A bounded cache of lookups by name; concurrent lookups of one name share one. Only what was found is kept. */
export class Recent<V> {
  private readonly entries = new Map<string, { at: number; found: Promise<V | null> }>()

  /**
   * @param keepMs how long an answer is believed: 4 s for keys, so that a revocation reaches the streams of every process within 10 s.
   * @param max entries at most; the longest unused goes first.
   */
  constructor(
    private readonly keepMs = 4_000,
    private readonly max = 10_000,
  ) {}

  /** The answer for a name, looked up unless it is recent. */
  get(name: string, look: () => Promise<V | null>): Promise<V | null> {
    const known = this.entries.get(name)
    if (known !== undefined && Date.now() - known.at < this.keepMs) return this.keep(name, known)
    const entry = { at: Date.now(), found: look() }
    const forget = (): void => {
      if (this.entries.get(name) === entry) this.entries.delete(name)
    }
    entry.found.then((value) => {
      if (value === null) forget()
    }, forget)
    return this.keep(name, entry)
  }

  /** Forgets everything: after a revocation has been committed. */
  clear(): void {
    this.entries.clear()
  }

  private keep(name: string, entry: { at: number; found: Promise<V | null> }): Promise<V | null> {
    this.entries.delete(name)
    this.entries.set(name, entry)
    if (this.entries.size > this.max) this.entries.delete(this.entries.keys().next().value!)
    return entry.found
  }
}
