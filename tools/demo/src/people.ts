// The people of the demo: who they are and what each will do, drawn from a seed, so that a run can be repeated. Pure.

/** How a send to this person is made. */
export type Route = 'http' | 'kafka'

/**
 * What a person does with the in-app message:
 * `clicks` and `views` within the window, `late` sees it after the sequence has ended, `receives`: the app gets it and nobody
 * looks, `away`: the app is not even open.
 */
export type Conduct = 'clicks' | 'views' | 'late' | 'receives' | 'away'

/** What a person does with a push. */
export type OnPush = 'taps' | 'receives' | 'nothing'

/** One simulated person. */
export interface Person {
  readonly userId: string
  readonly route: Route
  /** `bad`: a token that its provider does not know any more. */
  readonly device: 'works' | 'none' | 'bad'
  readonly conduct: Conduct
  readonly onPush: OnPush
  /** The app listens to the event stream with a user token, reads the feed with one, or asks its backend, which has an API key. */
  readonly app: 'stream' | 'token' | 'backend'
  /** From the message showing until the person has looked at it, milliseconds. */
  readonly hesitationMs: number
}

type Shares<T extends string> = readonly (readonly [T, number])[]

const conducts: Shares<Conduct> = [['clicks', 0.15], ['views', 0.3], ['late', 0.1], ['receives', 0.25], ['away', 0.2]]
const devices: Shares<Person['device']> = [['works', 0.92], ['none', 0.05], ['bad', 0.03]]
const onPush: Shares<OnPush> = [['taps', 0.25], ['receives', 0.65], ['nothing', 0.1]]
// A stream costs a connection: 30 of them show that it works.
const apps: Shares<Person['app']> = [['stream', 0.05], ['token', 0.45], ['backend', 0.5]]

// The window is 15 s in the demo's own system, and a busy machine needs some of it.
const longestHesitationMs = 1_500

/**
 * Draws the people: the first half is sent to over HTTP, the rest over Kafka.
 * @param seed a whole number; the same one draws the same people with the same ids
 */
export function peopleOf(seed: number, count: number): Person[] {
  const random = randomOf(seed)
  return Array.from({ length: count }, (_, index) => ({
    userId: `demo-${seed}-${String(index + 1).padStart(4, '0')}`,
    route: index < count / 2 ? 'http' : 'kafka',
    conduct: drawn(conducts, random()),
    device: drawn(devices, random()),
    onPush: drawn(onPush, random()),
    app: drawn(apps, random()),
    hesitationMs: Math.round(random() * longestHesitationMs),
  }))
}

/** The push token of a person's device; null without one. The sandbox refuses `bad_` tokens and lets the demo act for the rest. */
export const tokenOf = ({ device, userId }: Person): string | null =>
  device === 'none' ? null : `${device === 'bad' ? 'bad' : 'phone'}_${userId}`

/** Whether a person means to engage before the window is over. */
export const actsInTime = ({ conduct }: Person): boolean => conduct === 'clicks' || conduct === 'views'

function drawn<T extends string>(shares: Shares<T>, x: number): T {
  let sum = 0
  for (const [name, share] of shares) if (x < (sum += share)) return name
  return shares[0]![0]
}

/** Mulberry32: 0 ≤ x < 1, the same numbers for the same seed everywhere. */
function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
