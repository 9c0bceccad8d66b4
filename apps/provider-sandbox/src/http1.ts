// Replies over HTTP/1, as Express writes them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Response } from 'express'
import type { Answer } from './answer'
import type { Reply } from './desk'

/** Does on an HTTP/1 connection what the desk said. */
export async function reply1(response: Response, reply: Reply): Promise<void> {
  switch (reply.kind) {
    case 'hang':
      return
    case 'reset':
    case 'goaway':
      response.socket?.resetAndDestroy()
      return
    case 'answer':
      if (reply.afterMs > 0) await sleep(reply.afterMs)
      if (reply.close) response.set('connection', 'close')
      write1(response, reply.answer)
  }
}

/** Writes an answer. */
export function write1(response: Response, { status, headers, body }: Answer): void {
  response.status(status).set(headers ?? {})
  if (body === null) response.end()
  else response.json(body)
}
