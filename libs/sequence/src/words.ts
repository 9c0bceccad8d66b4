// Words for people: channels, durations and lists as a sentence spells them.

const channelNames: Readonly<Record<string, string>> = { in_app: 'in-app', push: 'push', sms: 'SMS', kakao: 'KakaoTalk' }

/** The channel as a sentence spells it. */
export const channelName = (channelType: string): string => channelNames[channelType] ?? channelType

/** The text with a capital letter in front. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** `a`, `a and b`, `a, b and c`. */
export const list = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`

const units: ReadonlyArray<readonly [name: string, ms: number]> = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
]

/** A duration by its two largest units, the rest cut off: `5 min`, `1 h 30 min`, `250 ms`; never negative. */
export function duration(ms: number): string {
  const first = units.findIndex(([, unitMs]) => ms >= unitMs)
  if (first < 0) return '0 ms'
  let restMs = ms
  const parts: string[] = []
  for (const [name, unitMs] of units.slice(first, first + 2)) {
    const count = Math.floor(restMs / unitMs)
    restMs -= count * unitMs
    if (count > 0) parts.push(`${count} ${name}`)
  }
  return parts.join(' ')
}
