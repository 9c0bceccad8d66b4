// The end of a log: only what the process at hand wrote, and its last error as a sentence.
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastError, lastLines } from './logFile'
import { endOfLog, Program } from './program'

const home = mkdtempSync(join(tmpdir(), 'stepcast-log-'))
const file = join(home, 'x.log')
afterAll(() => rmSync(home, { recursive: true }))

it('what an earlier process wrote is not shown', () => {
  writeFileSync(file, 'old 1\nold 2\n')
  const from = statSync(file).size
  appendFileSync(file, 'new 1\n\nnew 2\n')
  expect(lastLines(file, 15, from)).toEqual(['new 1', 'new 2'])
  expect(lastLines(file, 1, from)).toEqual(['new 2'])
  expect(lastLines(file, 15)).toHaveLength(4)
  expect(lastLines(file, 15, statSync(file).size)).toEqual([])
  expect(lastLines(join(home, 'none.log'), 15, 7)).toEqual([])
})

it.each([
  [
    ['{"level":30,"msg":"listening"}', '{"level":60,"msg":"crashed","err":{"message":"no disk","stack":"Error: no disk\\n at x"}}'],
    'no disk',
  ],
  [['{"level":50,"msg":"Error: DATABASE_URL is missing"}', '{"level":30,"msg":"request"}'], 'DATABASE_URL is missing'],
  [['{"level":50,"error":"away","msg":"cannot go on"}'], 'away'],
  [['Error: PORT 80 is in use', '    at listen (x.js:1)', '  cause: {', '    code: 7'], 'PORT 80 is in use'],
  [['TypeError: x is not a function'], 'x is not a function'],
  [['{"level":50,"msg":"cut in the mid'], undefined],
  [['all is well'], undefined],
])('the last error of %j', (lines, said) => expect(lastError(lines)).toBe(said))

it('a start that fails tells its last error, and long lines are cut', async () => {
  const program = new Program({
    name: 'broken',
    home,
    command: 'sh',
    args: ['-c', 'echo "Error: the disk is full"; printf "%01000d\\n" 7; exit 1'],
    env: process.env,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 1_000,
    isReady: async () => false,
    readyEveryMs: 10,
    readyTimeoutMs: 5_000,
  })
  const message = await program.start().catch((error: Error) => error.message)
  expect(message).toMatch(
    /^broken ended while it started: the disk is full\. The end of .*broken\.log:\n    Error: the disk is full\n    0{300} …$/,
  )
  expect(endOfLog(program.log, 5, program.logFrom, 'known')).toMatch(/^\. The end of /)
})
