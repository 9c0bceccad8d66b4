// Which senders a number has told to stop: whoever sends remembers it, and is asked when a person is shown.
import type { KeyObject } from 'node:crypto'
import { contextHeader, signContext, type Env, type Log } from '@stepcast/service'
import { z } from 'zod'

/** A sender that a person has told to stop. */
export interface Unsubscribed {
  readonly channelType: string
  /** A number of the workspace, or its messaging service. */
  readonly sender: string
  /** RFC 3339. */
  readonly since: string
}

/** Tells the senders that a number has told to stop; null: nobody can say at the moment. */
export type UnsubscribedOf = (workspaceId: string, phoneNumber: string) => Promise<readonly Unsubscribed[] | null>

// Whoever looks at a person does not wait longer for this part.
const timeoutMs = 1_000
const answer = z.object({ unsubscribed: z.array(z.object({ channelType: z.string(), sender: z.string(), since: z.string() })) })

/**
 * Asks `POST /internal/unsubscribed` of the SMS dispatcher at SMS_DISPATCHER_URL. No copy is kept here: the number of a profile may change,
 * two people may share one, and who comes back after an erasure has it still.
 * @throws Error without SMS_DISPATCHER_URL
 */
export function unsubscribedFromEnv({ SMS_DISPATCHER_URL }: Env, key: KeyObject, log: Log): UnsubscribedOf {
  if (!SMS_DISPATCHER_URL) throw new Error('SMS_DISPATCHER_URL is missing: give the address of the SMS dispatcher')
  return async (workspaceId, phoneNumber) => {
    try {
      const context = await signContext(key, { workspaceId, scopes: ['internal'], userId: null, via: 'root', keyId: null })
      const response = await fetch(`${SMS_DISPATCHER_URL}/internal/unsubscribed`, {
        method: 'POST',
        signal: AbortSignal.timeout(timeoutMs),
        headers: { [contextHeader]: context, 'content-type': 'application/json' },
        body: JSON.stringify({ phoneNumber }),
      })
      if (!response.ok) throw new Error(`the SMS dispatcher answered ${response.status}`)
      return answer.parse(await response.json()).unsubscribed
    } catch (error) {
      log.warn({ err: error }, 'nobody says who has unsubscribed')
      return null
    }
  }
}
