// Progress on a terminal counts in place; in a log each matter has one line.
import { ProgressPrinter } from './progress'

function printed(isTTY: boolean): string {
  let text = ''
  const printer = new ProgressPrinter({ isTTY, write: (part: string | Uint8Array) => ((text += String(part)), true) })
  for (const line of ['Fetching … 0 s', 'Fetching … 1 s', 'kafka works.', 'Fetching … 2 s', 'Done.']) printer.print(line)
  return text
}

describe('progress', () => {
  it('counts seconds in place on a terminal', () => {
    expect(printed(true)).toBe('Fetching … 0 s\rFetching … 1 s\nkafka works.\nFetching … 2 s\nDone.\n')
  })

  it('says each thing once in a log', () => {
    expect(printed(false)).toBe('Fetching …\nkafka works.\nFetching …\nDone.\n')
  })
})
