// Rules of the ports: what is in use is named, what is free is given once.
import { createServer, type Server } from 'node:net'
import { freePort, isPortFree, keepPorts, loopback, namedPorts, parsePort, requirePortsFree } from './ports'

describe('ports', () => {
  let server: Server | undefined
  afterEach(() => server?.close())

  const occupy = (port: number): Promise<void> =>
    new Promise((resolve) => (server = createServer().listen(port, loopback, () => resolve())))

  it('gives a port that is free, and another the next time', async () => {
    const [first, second] = [await freePort(), await freePort()]
    expect(first).not.toBe(second)
    expect(await isPortFree(first)).toBe(true)
  })

  it('names the variable of a port in use', async () => {
    const port = await freePort()
    await occupy(port)
    await expect(requirePortsFree([{ port, purpose: 'Kafka', variable: 'STEPCAST_KAFKA_PORT' }])).rejects.toThrow(
      `Port ${port} (Kafka) is in use by another program. Stop that program, or choose another port: STEPCAST_KAFKA_PORT=<port>.`,
    )
  })

  it('takes 0 for any port', async () => {
    await expect(requirePortsFree([{ port: 0, purpose: 'Kafka', variable: 'STEPCAST_KAFKA_PORT' }])).resolves.toBeUndefined()
  })

  it('reads a port as people write it', () => {
    expect(parsePort('STEPCAST_HTTP_PORT', undefined, 8080)).toBe(8080)
    expect(parsePort('STEPCAST_HTTP_PORT', '', 8080)).toBe(8080)
    expect(parsePort('STEPCAST_HTTP_PORT', '9000', 8080)).toBe(9000)
    expect(() => parsePort('STEPCAST_HTTP_PORT', '80a', 8080)).toThrow('STEPCAST_HTTP_PORT=80a is not a port number')
    expect(() => parsePort('STEPCAST_HTTP_PORT', '70000', 8080)).toThrow('not a port number')
  })
})

describe('ports that a variable names', () => {
  afterEach(() => {
    for (const name of ['STEPCAST_HTTP_PORT', 'STEPCAST_SANDBOX_TLS_PORT']) delete process.env[name]
  })

  it('are those of the contract, whatever part they are of', () => {
    expect(
      namedPorts({
        STEPCAST_HTTP_PORT: '9000',
        STEPCAST_SANDBOX_TLS_PORT: '25000',
        STEPCAST_GRPC_PORT: '',
        STEPCAST_KAFKA_PORT: '0',
        STEPCAST_HOME: '1',
        PORT: '7',
      }),
    ).toEqual([9000, 25000])
  })

  it('are never given for another use, also before anybody listens there', async () => {
    // All ports but one are named: none of them comes, however often one is asked for.
    const named = Array.from({ length: 11_999 }, (_, at) => 20_001 + at)
    process.env['STEPCAST_SANDBOX_TLS_PORT'] = '20000'
    keepPorts(named.slice(0, -3))
    const given = new Set<number>()
    for (let at = 0; at < 3; at++) given.add(await freePort().catch(() => 0))
    given.delete(0)
    for (const port of given) expect(named.slice(-3)).toContain(port)
  })

  it('may not be the same for two', async () => {
    await expect(
      requirePortsFree([
        { port: 29_876, purpose: 'HTTP', variable: 'STEPCAST_HTTP_PORT' },
        { port: 29_876, purpose: 'gRPC', variable: 'STEPCAST_GRPC_PORT' },
      ]),
    ).rejects.toThrow('STEPCAST_HTTP_PORT and STEPCAST_GRPC_PORT both name port 29876: choose another for one of them.')
  })
})
