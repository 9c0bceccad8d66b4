// A bare HTTP/2 client: as many pushes to the sandbox as it can, each built, limited in time and its answer read; no queue, no ledger.
import { createPrivateKey, randomUUID } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect, type ClientHttp2Session } from 'node:http2'
import { SignJWT } from 'jose'
import type { AccountOf } from '@stepcast/accounts'

/** What to do; half of it goes to FCM, half to APNs, on a session each. */
export interface LoopTask {
  readonly origin: string
  readonly n: number
  readonly warmUp: number
  /** Streams under way at a time on each session. */
  readonly inFlight: number
  readonly accounts: Pick<AccountOf, 'fcm' | 'apns'>
}

/** What came of it. */
export interface LoopFound {
  readonly ms: number
}

const timeoutMs = 10_000

interface Call {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function main([taskFile, foundFile]: readonly string[]): Promise<void> {
  const task = JSON.parse(readFileSync(taskFile!, 'utf8')) as LoopTask
  const bearer = await accessToken(task)
  const { teamId, keyId, privateKey } = task.accounts.apns
  const jwt = await new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: keyId })
    .setIssuer(teamId)
    .setIssuedAt()
    .sign(createPrivateKey(privateKey))
  const sessions = { fcm: await session(task.origin), apns: await session(task.origin) }
  const run = async (count: number, inFlight: number): Promise<number> => {
    const begin = performance.now()
    await Promise.all([
      send(sessions.fcm, (index) => fcmCall(task, bearer, index), count / 2, inFlight),
      send(sessions.apns, (index) => apnsCall(task, jwt, index), count / 2, inFlight),
    ])
    return performance.now() - begin
  }
  // One alone first: APNs allows one stream until it has seen a good token.
  await run(2, 1)
  await run(task.warmUp, task.inFlight)
  const ms = await run(task.n, task.inFlight)
  for (const one of Object.values(sessions)) one.destroy()
  // Renamed into its place, so that nobody reads half of it.
  writeFileSync(`${foundFile}.new`, JSON.stringify({ ms } satisfies LoopFound))
  renameSync(`${foundFile}.new`, foundFile!)
  // Whoever started this stops it.
  setInterval(() => {}, 60_000)
}

function session(origin: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const opened = connect(origin, { settings: { enablePush: false } })
    opened.once('error', reject)
    opened.once('remoteSettings', () => resolve(opened))
  })
}

/** Sends so many, some at a time; rejects at the first that is not answered 200. */
function send(to: ClientHttp2Session, callOf: (index: number) => Call, count: number, inFlight: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0
    let open = 0
    const fill = (): void => {
      while (open < inFlight && next < count) begin(callOf(next++))
      if (open === 0) resolve()
    }
    const begin = ({ headers, body }: Call): void => {
      open += 1
      const stream = to.request({ ...headers, 'content-length': Buffer.byteLength(body) })
      const timer = setTimeout(() => reject(new Error(`${headers[':path']} was not answered within ${timeoutMs} ms`)), timeoutMs)
      let answer = ''
      stream.on('response', ({ ':status': status }) => {
        if (status !== 200) reject(new Error(`${headers[':path']} was answered ${status}`))
      })
      stream.on('data', (chunk: Buffer) => (answer += chunk.toString()))
      stream.on('error', reject)
      stream.on('close', () => {
        clearTimeout(timer)
        if (answer !== '') JSON.parse(answer)
        open -= 1
        fill()
      })
      stream.end(body)
    }
    fill()
  })
}

async function accessToken({ origin, accounts }: LoopTask): Promise<string> {
  const { serviceAccount } = accounts.fcm
  const assertion = await new SignJWT({ scope: 'https://www.googleapis.com/auth/firebase.messaging' })
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(serviceAccount.client_email)
    .setAudience(`${origin}/token`)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(createPrivateKey(serviceAccount.private_key))
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion })
  const answer = await fetch(`${origin}/token`, { method: 'POST', body: form })
  if (!answer.ok) throw new Error(`no access token: ${answer.status} ${await answer.text()}`)
  return ((await answer.json()) as { access_token: string }).access_token
}

// The same headers and bodies as the push dispatcher's, with the data of the phase's own template.
const messageId = (): string => `${randomUUID()}.1.push`
const shown = (): { title: string; body: string } => ({ title: 'Shipped', body: `Order ${randomUUID()} is on its way` })
const data = (id: string, index: number): Record<string, string> => ({
  stepcast_message_id: id,
  stepcast_workspace_id: 'bench-a',
  stepcast_user_id: `user-${index}`,
})
const inFiveMinutes = (): string => String(Math.floor(Date.now() / 1_000) + 300)

function fcmCall({ accounts: { fcm } }: LoopTask, bearer: string, index: number): Call {
  const id = messageId()
  return {
    headers: {
      ':method': 'POST',
      ':path': `/v1/projects/${fcm.serviceAccount.project_id}/messages:send`,
      authorization: `Bearer ${bearer}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      message: {
        token: `token-${index}`,
        notification: shown(),
        data: data(id, index),
        android: { priority: 'high', collapse_key: id, notification: { tag: id }, ttl: '300s' },
        apns: {
          headers: { 'apns-collapse-id': id, 'apns-priority': '10', 'apns-expiration': inFiveMinutes() },
          payload: { aps: { 'mutable-content': 1 } },
        },
        webpush: { headers: { Topic: id.slice(0, 32), TTL: '300' } },
      },
    }),
  }
}

function apnsCall({ accounts: { apns } }: LoopTask, jwt: string, index: number): Call {
  const id = messageId()
  return {
    headers: {
      ':method': 'POST',
      ':path': `/3/device/token-${index}`,
      'apns-topic': apns.topic,
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-id': randomUUID(),
      'apns-collapse-id': id,
      'apns-expiration': inFiveMinutes(),
      authorization: `bearer ${jwt}`,
    },
    body: JSON.stringify({ ...data(id, index), aps: { alert: shown(), 'mutable-content': 1 } }),
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
