// Finds and checks the loopback ports that the local system listens on.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

export const loopback = '127.0.0.1'

/**
 * Where free ports are looked for: below the range from which the kernel takes ports for outgoing connections (32768 on
 * Linux), so that a program that is restarted finds its port still free.
 */
const lowestFreePort = 20_000
const highestFreePort = 31_999
const attempts = 200

/** Ports handed out by this process and possibly not listened on yet, and those kept for somebody. */
const handedOut = new Set<number>()

/** Keeps ports from being handed out: whoever chose them will listen on them, perhaps later or in another process. */
export function keepPorts(ports: Iterable<number>): void {
  for (const port of ports) if (port !== 0) handedOut.add(port)
}

/** The ports that the variables of the contract name (`STEPCAST_HTTP_PORT` …), of whatever part, also one that is not started here. */
export function namedPorts(env: NodeJS.ProcessEnv): number[] {
  return Object.entries(env).flatMap(([name, value]) => (/^STEPCAST_\w*PORT$/.test(name) && Number(value) > 0 ? [Number(value)] : []))
}

/**
 * Finds a port of the loopback address that nobody listens on, that no `STEPCAST_*_PORT` names, and that this process has not been given before.
 *
 * @throws Error when 200 random ports were all taken
 */
export async function freePort(): Promise<number> {
  keepPorts(namedPorts(process.env))
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(lowestFreePort, highestFreePort + 1)
    if (handedOut.has(port)) continue
    handedOut.add(port)
    if (await isPortFree(port)) return port
  }
  throw new Error(`No free port found between ${lowestFreePort} and ${highestFreePort}.`)
}

/** Tells whether a port of the loopback address can be listened on right now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: loopback, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A port that was asked for, what it is for and the environment variable that changes it. */
export interface WantedPort {
  readonly port: number
  readonly purpose: string
  readonly variable: string
}

/**
 * Checks that every wanted port is free; port 0 means "any" and is always free.
 *
 * @throws PortInUse naming every port that is taken and the variable that moves it; Error where two variables name one port
 */
export async function requirePortsFree(wanted: readonly WantedPort[]): Promise<void> {
  keepPorts(wanted.map(({ port }) => port))
  const twice = wanted.flatMap((one, at) => {
    const other = wanted.slice(0, at).find(({ port }) => port !== 0 && port === one.port)
    return other === undefined ? [] : [`${other.variable} and ${one.variable} both name port ${one.port}: choose another for one of them.`]
  })
  if (twice.length > 0) throw new Error(twice.join('\n'))
  const taken: WantedPort[] = []
  for (const port of wanted) if (port.port !== 0 && !(await isPortFree(port.port))) taken.push(port)
  if (taken.length > 0) throw new PortInUse(taken)
}

/** Some wanted ports belong to other programs. The message says how to choose others. */
export class PortInUse extends Error {
  constructor(readonly taken: readonly WantedPort[]) {
    super(
      taken
        .map(
          ({ port, purpose, variable }) =>
            `Port ${port} (${purpose}) is in use by another program. Stop that program, or choose another port: ${variable}=<port>.`,
        )
        .join('\n'),
    )
    this.name = 'PortInUse'
  }
}

/**
 * Reads a port number as it is written in an environment variable.
 *
 * @throws Error naming the variable when the text is not a port number
 */
export function parsePort(variable: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text.trim() === '') return otherwise
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`${variable}=${text} is not a port number (0 to 65535, 0 for any free port).`)
  }
  return port
}
