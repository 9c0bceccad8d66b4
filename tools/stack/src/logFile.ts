// Log files of the started programs: bounded when they are opened, read from the end when something went wrong.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** A log that has grown beyond this is cut to its end when its program starts: a year of local use stays small. */
const largestLogBytes = 8 * 1024 * 1024
const keptLogBytes = 1024 * 1024

/** Opens a log for appending and cuts it first when it has grown too large. The caller closes the descriptor. */
export function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true })
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > largestLogBytes) {
    writeFileSync(`${file}.new`, readEnd(file, keptLogBytes))
    renameSync(`${file}.new`, file)
  }
  return openSync(file, 'a')
}

/**
 * The last lines of a log, fewer when it is shorter, none when there is no such file.
 *
 * @param from where the log of the process asked about begins, in bytes: what stands before is another's
 */
export function lastLines(file: string, count: number, from = 0): string[] {
  const written = Math.max(0, (statSync(file, { throwIfNoEntry: false })?.size ?? 0) - from)
  const text = readEnd(file, Math.min(written, count * 2048)).toString('utf8')
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
}

const errorLevels = new Set([50, 60, 'error', 'fatal'])

/** What the last error among lines of a log says, in a sentence; undefined where none tells of one. Our services write JSON, others plain text. */
export function lastError(lines: readonly string[]): string | undefined {
  for (const line of lines.toReversed()) {
    const said = line.startsWith('{') ? errorOfJson(line) : /^(?:\w*Error|FATAL|ERROR)\b.*?: +(.+)$/.exec(line)?.[1]
    if (said) return said
  }
  return undefined
}

function errorOfJson(line: string): string | undefined {
  try {
    const { level, msg, err, error } = JSON.parse(line) as {
      level?: number | string
      msg?: string
      err?: { message?: string }
      error?: unknown
    }
    if (level === undefined || !errorLevels.has(level)) return undefined
    return (err?.message ?? (typeof error === 'string' ? error : msg))?.replace(/^Error: /, '')
  } catch {
    // Cut in the middle.
    return undefined
  }
}

function readEnd(file: string, bytes: number): Buffer {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch {
    return Buffer.alloc(0)
  }
  try {
    const { size } = fstatSync(descriptor)
    const end = Buffer.alloc(Math.min(size, bytes))
    readSync(descriptor, end, 0, end.length, size - end.length)
    return end
  } finally {
    closeSync(descriptor)
  }
}
