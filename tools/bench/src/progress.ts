// A progress bar on standard error where that is a terminal; a line per phase on standard output, or on standard error with --json.

/** Shows how far a phase is. */
export class Progress {
  private shownAt = 0

  constructor(
    private readonly bar: NodeJS.WriteStream,
    private readonly lines: NodeJS.WriteStream,
  ) {}

  /** A phase is so far. */
  show(phase: string, done: number, of: number): void {
    if (!this.bar.isTTY || performance.now() - this.shownAt < 100) return
    this.shownAt = performance.now()
    const width = 30
    const full = Math.round(Math.min(1, done / of) * width)
    const blocks = '█'.repeat(full) + '░'.repeat(width - full)
    this.bar.write(`\r\u001b[K${phase.padEnd(28)} ${blocks} ${Math.round(done).toLocaleString('en')} / ${of.toLocaleString('en')}`)
  }

  /** A phase is over. */
  done(line: string): void {
    if (this.bar.isTTY) this.bar.write('\r\u001b[K')
    this.lines.write(`${line}\n`)
  }
}
