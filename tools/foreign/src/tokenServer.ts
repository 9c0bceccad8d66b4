// A small authorization server: gives out tokens that Kafka's own check for trials takes (unsecured JWS), each for a short while.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A running server. */
export interface TokenServer {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  /** How many tokens it has given out. */
  readonly given: () => number
  stop(): void
}

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** Starts it. @param lifeS how long a token is good for */
export async function startTokenServer(principal: string, lifeS: number): Promise<TokenServer> {
  const [clientId, clientSecret] = ['stepcast', 'a secret: 100%']
  const right = `Basic ${Buffer.from(`${clientId}:${encodeURIComponent(clientSecret).replaceAll('%20', '+')}`).toString('base64')}`
  let given = 0
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const isGood =
        request.method === 'POST' &&
        request.headers.authorization === right &&
        new URLSearchParams(body).get('grant_type') === 'client_credentials'
      const now = Math.floor(Date.now() / 1_000)
      if (isGood) given++
      const answer = isGood
        ? {
            access_token: `${encoded({ alg: 'none' })}.${encoded({ sub: principal, iat: now, exp: now + lifeS, scope: [] })}.`,
            token_type: 'Bearer',
            expires_in: lifeS,
          }
        : { error: 'invalid_client' }
      response.writeHead(isGood ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    clientId,
    clientSecret,
    given: () => given,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
