// A progress bar on a terminal, a line per phase elsewhere.

/** Shows how far a phase is. */
export class Progress {
  private shownAt = 0

  constructor(private readonly out: NodeJS.WriteStream | null) {}

  /** A phase is so far. */
  show(phase: string, done: number, of: number): void {
    if (!this.out?.isTTY || performance.now() - this.shownAt < 100) return
    this.shownAt = performance.now()
    const width = 30
    const full = Math.round(Math.min(1, done / of) * width)
    this.out.write(`\r\u001b[K${phase.padEnd(28)} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${done} / ${of}`)
  }

  /** A phase is over. */
  done(line: string): void {
    if (!this.out) return
    this.out.write(this.out.isTTY ? `\r\u001b[K${line}\n` : `${line}\n`)
  }
}
