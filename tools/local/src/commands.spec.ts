// The commands of package.json as they are typed: each reaches its program, and the program its options. What an installation tells others: nothing.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const checkout = join(__dirname, '..', '..', '..')
const json = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(checkout, name), 'utf8')) as Record<string, unknown>
const scripts = json('package.json').scripts as Record<string, string>
const commands = Object.entries(scripts).flatMap(([name, line]) => (line.includes('tools/start.mjs') ? [{ name, line }] : []))
// These take no options: to start them is to do what they do.
const withoutOptions = ['set-up', 'stop', 'reset']

it.each(commands.filter(({ name }) => !withoutOptions.includes(name)))(
  'npm run $name -- --help says what it does',
  ({ name, line }) => {
    const [, ...args] = line.replace(/^exec /, '').split(' ')
    const said = execFileSync(process.execPath, [...args, '--help'], { cwd: checkout, encoding: 'utf8' })
    expect(said).toContain(name === 'start' ? 'npm start' : `npm run ${name}`)
  },
  60_000,
)

it('knows every command that it is asked for', () => {
  const known = readFileSync(join(checkout, 'tools', 'start.mjs'), 'utf8')
  for (const { name, line } of commands) {
    if (name !== 'start') expect(line).toBe(`node tools/start.mjs ${name}`)
    expect(known).toMatch(new RegExp(`^  '?${name}'?: \\[`, 'm'))
  }
})

it('no package and no tool of ours reports that somebody installs or builds', () => {
  expect(json('package.json').scarfSettings).toEqual({ enabled: false })
  expect(json('nx.json')).toMatchObject({ analytics: false, neverConnectToCloud: true })
})
