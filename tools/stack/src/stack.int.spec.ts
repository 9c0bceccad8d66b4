// The real stack: starts, keeps its data over stops and kills, and leaves nothing running.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { processIdentity, recordedProcesses } from './pidFile'
import { freePort, isPortFree, loopback } from './ports'
import { startStack, type Stack } from './startStack'

const contentType = { 'content-type': 'application/vnd.schemaregistry.v1+json' }

async function register(stack: Stack, subject: string, schema: unknown): Promise<number> {
  const answer = await fetch(`${stack.registryUrl}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: contentType,
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  })
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { id: number }).id
}

async function schemaOf(stack: Stack, id: number): Promise<unknown> {
  const answer = await fetch(`${stack.registryUrl}/schemas/ids/${id}`)
  return JSON.parse(((await answer.json()) as { schema: string }).schema)
}

async function query(stack: Stack, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: stack.databaseUrl })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

const record = { type: 'record', name: 'Kept', fields: [{ name: 'id', type: 'string' }] }

describe('the stack', () => {
  const home = mkdtempSync(join(tmpdir(), 'stepcast-스택-'))
  let stack: Stack
  afterAll(async () => {
    await stack?.stop()
    rmSync(home, { recursive: true, force: true })
  })

  it('starts with a broker, a registry and a database that work', async () => {
    stack = await startStack({ home })
    expect(await isPortFree(Number(stack.kafkaBrokers.split(':')[1]))).toBe(false)
    expect((await fetch(`${stack.registryUrl}/subjects`)).status).toBe(200)
    expect(await query(stack, `SELECT current_setting('synchronous_commit') AS commit`)).toEqual([{ commit: 'on' }])
    // And their data where they belong, although the directory is only ours and its name not ASCII.
    expect(['kafka/meta.properties', 'postgres/PG_VERSION'].map((file) => existsSync(join(home, file)))).toEqual([true, true])
  })

  it('lets nobody else of this machine read what people wrote', () => {
    expect(['kafka', 'postgres', 'secrets'].map((name) => statSync(join(home, name)).mode & 0o077)).toEqual([0, 0, 0])
  })

  it('keeps schema ids and rows when everything is killed', async () => {
    const id = await register(stack, 'kept-value', record)
    await query(stack, 'CREATE TABLE kept (id int)')
    await query(stack, 'INSERT INTO kept VALUES (1)')
    const { broker, registry, postgres } = stack.parts
    for (const part of [broker, registry, postgres]) part?.kill('SIGKILL')
    await postgres?.restart()
    await Promise.all([broker?.restart(), registry?.restart()])
    expect(await schemaOf(stack, id)).toEqual(record)
    expect(await register(stack, 'kept-value', record)).toBe(id)
    expect(await query(stack, 'SELECT id FROM kept')).toEqual([{ id: 1 }])
  })

  it('answers schemas right after the database was restarted', async () => {
    await stack.parts.postgres?.restart()
    expect(await register(stack, 'kept-value', record)).toBeGreaterThan(0)
  })

  it('refuses a second start on its data', async () => {
    // As if another process had started it: to this one, what it started itself is not another's.
    const [kafka] = recordedProcesses(home).filter(({ name }) => name === 'kafka')
    const supervisor = { pid: process.ppid, identity: processIdentity(process.ppid) }
    writeFileSync(join(home, 'run', 'other.json'), JSON.stringify({ ...kafka, name: 'other', supervisor }))
    await expect(startStack({ home })).rejects.toThrow(`already runs on ${home} (process ${process.ppid})`)
    rmSync(join(home, 'run', 'other.json'))
  })

  it('finds its data again after a stop, on other ports, and leaves nothing running', async () => {
    const id = await register(stack, 'kept-value', record)
    const pids = [stack.parts.broker?.pid, stack.parts.registry?.pid, stack.parts.postgres?.pid]
    await stack.stop()
    expect(pids.filter((pid) => pid !== undefined && isAlive(pid))).toEqual([])
    stack = await startStack({ home })
    expect(await schemaOf(stack, id)).toEqual(record)
    expect(await query(stack, 'SELECT id FROM kept')).toEqual([{ id: 1 }])
    await stack.stop()
    expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(home)
  })

  it('names the variable of a port in use and starts nothing', async () => {
    const kafka = await freePort()
    const server = createServer().listen(kafka, loopback)
    await expect(startStack({ home, ports: { kafka } })).rejects.toThrow('STEPCAST_KAFKA_PORT=<port>')
    server.close()
    expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(home)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
