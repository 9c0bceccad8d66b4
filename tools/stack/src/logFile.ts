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

/** The last lines of a log, fewer when it is shorter, none when there is no such file. */
export function lastLines(file: string, count: number): string[] {
  const text = readEnd(file, count * 2048).toString('utf8')
  return text.split('\n').filter((line) => line.trim() !== '').slice(-count)
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
