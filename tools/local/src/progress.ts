// Prints what is going on: one line after another, and a line that counts seconds in place.

/** Writes progress lines for a person to a stream. */
export class ProgressPrinter {
  /** What the line that is being counted is about, up to its ellipsis. */
  private counting: string | undefined

  constructor(private readonly out: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>) {}

  /** Prints a line. One that ends as `… 12 s` replaces the one before it about the same thing, or is left out of a log. */
  print(line: string): void {
    const about = /^(.*…) \d+ s$/.exec(line)?.[1]
    if (about !== undefined && about === this.counting) {
      if (this.out.isTTY) this.out.write(`\r${line}`)
      return
    }
    this.endLine()
    this.counting = about
    if (about !== undefined && this.out.isTTY) this.out.write(line)
    else this.out.write(`${about ?? line}\n`)
  }

  private endLine(): void {
    if (this.counting !== undefined && this.out.isTTY) this.out.write('\n')
    this.counting = undefined
  }
}
