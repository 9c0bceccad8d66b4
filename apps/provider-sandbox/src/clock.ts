// The time of day as text: made once a millisecond, since a busy sandbox asks for it several times in each.

let atMs = 0
let text = ''

/** Now, RFC 3339 with milliseconds. */
export function timeNow(): string {
  const nowMs = Date.now()
  if (nowMs !== atMs) {
    text = new Date(nowMs).toISOString()
    atMs = nowMs
  }
  return text
}
