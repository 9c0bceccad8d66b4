// Rules of the ports: what is in use is named, what is free is given once.
import { createServer, type Server } from 'node:net'
import { freePort, isPortFree, loopback, parsePort, requirePortsFree } from './ports'

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
