// Streams end with the credentials they were opened with.
import type { Response } from 'express'
import type { Holds } from './authentication'

const lookEveryMs = 5_000

/** Cuts an answer that stays open when its credentials expire, or within 10 s after their key was revoked. While nobody can tell it stays. */
export function endWith({ until, stillStands }: Holds, response: Response, onError: (error: Error) => void): void {
  const end = (): void => void response.end()
  const expiry = until === null ? null : setTimeout(end, Math.max(0, until - Date.now()))
  const looking = setInterval(() => {
    stillStands().then((stands) => {
      if (!stands) end()
    }, onError)
  }, lookEveryMs)
  response.once('close', () => {
    if (expiry) clearTimeout(expiry)
    clearInterval(looking)
  })
}
