// What the numbers say, in one paragraph for somebody who has never seen them. Pure.
import type { Numbers } from './numbers'

/** What the numbers do not know. */
export interface Background {
  /** Minutes of the first step's window. */
  readonly waitMinutes: number
  /** People with a device that works: what a broadcast to every channel would have pushed to. */
  readonly pushable: number
}

/** Reads the numbers of in-app (viewed) → push, all ended. */
export function reading({ recipients, outcomes, steps }: Numbers, { waitMinutes, pushable }: Background): string {
  const [feed, push] = [steps[0]!, steps[1]!]
  const [inApp, pushed] = [feed.channels[0]!, push.channels[0]!]
  const late = (inApp.viewed ?? 0) - outcomes.stopped
  return [
    `Of ${recipients} people, ${outcomes.stopped} (${percent(outcomes.stopped, recipients)}) saw the in-app message`,
    `within its ${waitMinutes} minutes and were never pushed; ${inApp.clicked} clicked it.`,
    `The other ${push.entered} went on to the push step: ${pushed.requested} pushes were handed over,`,
    `${pushed.delivered} received and ${pushed.clicked} tapped (${percent(pushed.clicked, pushed.requested)});`,
    ...(pushed.unknown === 0 ? [] : [`of ${pushed.unknown} it is not known whether an attempt reached the phone (GET /v1/push/unknown);`]),
    `${pushed.skipped} people had no device and ${pushed.failed} a token that their provider no longer knows.`,
    `Sending on both channels at once would have taken ${pushable} pushes, so the sequence saved ${pushable - pushed.requested}`,
    `of them (${percent(pushable - pushed.requested, pushable)}).`,
    late === 0
      ? 'Nobody saw the message later than that: a longer window would have saved nothing.'
      : `${late} people saw the message only after the window, ${feed.regretted} of them with the push already out: ` +
        `those are what a longer window could have saved, ${percent(feed.regretted, pushed.requested)} of the pushes at most.`,
  ].join(' ')
}

const percent = (part: number, whole: number): string => (whole === 0 ? '0 %' : `${Math.round((100 * part) / whole)} %`)

const width = 110

/** A paragraph as lines for a terminal. */
export function wrapped(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join('\n')
}
