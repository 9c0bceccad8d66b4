// What the numbers say, in one paragraph for somebody who has never seen them. Pure.
import type { Numbers } from './numbers'

/** What the numbers do not know. */
export interface Background {
  /** Minutes of each window. */
  readonly waitMinutes: number
  /** What a broadcast to every channel would have sent: people with a phone, a number for SMS, one for KakaoTalk that work. */
  readonly reachable: { readonly push: number; readonly sms: number; readonly kakao: number }
}

/** Reads the numbers of in-app (viewed) → push (clicked) → SMS (clicked) → KakaoTalk, all ended. */
export function reading({ recipients, steps }: Numbers, { waitMinutes, reachable }: Background): string {
  const [feed, push, text, talk] = [steps[0]!, steps[1]!, steps[2]!, steps[3]!]
  const [inApp, pushed, texted, talked] = [feed.channels[0]!, push.channels[0]!, text.channels[0]!, talk.channels[0]!]
  const paid = texted.requested + talked.requested
  const paidAtOnce = reachable.sms + reachable.kakao
  const unknown = pushed.unknown + texted.unknown + talked.unknown
  const regretted = feed.regretted + push.regretted + text.regretted
  return [
    `Of ${recipients} people, ${feed.stopped} (${percent(feed.stopped, recipients)}) saw the in-app message`,
    `within its ${waitMinutes} minutes and were sent nothing more; ${inApp.clicked} clicked it.`,
    ...(push.superseded === 0 ? [] : [`${push.superseded} saw it while quiet hours held their push back.`]),
    `${pushed.requested} pushes were handed over to FCM and APNs, ${pushed.delivered} received, ${push.stopped} tapped in time;`,
    `${pushed.skipped} people had no device and ${pushed.failed} a token that their provider no longer knows.`,
    `${texted.requested} SMS went out and ${text.stopped} people clicked their link in time;`,
    `${texted.skipped} had no number or had opted out, ${texted.failed} numbers failed.`,
    `${talked.requested} KakaoTalk messages came last: ${talked.delivered} delivered, ${talked.clicked} clicked, ${talked.failed} failed.`,
    ...(unknown === 0 ? [] : [`Of ${unknown} messages it is not known whether they got through (GET /v1/push/unknown, …).`]),
    `Sending on every channel at once would have taken ${reachable.push} pushes, ${reachable.sms} SMS`,
    `and ${reachable.kakao} KakaoTalk messages: ` +
      `the sequence saved ${percent(reachable.push - pushed.requested, reachable.push)} of the pushes`,
    `and ${percent(paidAtOnce - paid, paidAtOnce)} of the messages that cost money.`,
    regretted === 0
      ? 'Nobody was reached later than that: longer windows would have saved nothing.'
      : `${regretted} times a step reached somebody only after a later one had been sent: what longer windows could have saved.`,
  ].join(' ')
}

/** Where to look next. @param running the system that goes on; null: it was the demo's own and has ended */
export function whatNext(running: { readonly url: string; readonly sandboxUrl: string } | null): string {
  const { url, sandboxUrl } = running ?? { url: 'http://localhost:8080', sandboxUrl: 'http://localhost:8091' }
  return [
    running === null ? 'Where to look next: npm start keeps a system running, and then' : 'Where to look next:',
    `  ${sandboxUrl}   the phones: tap a message by hand, and its sequence stops; make providers fail`,
    `  ${url}/docs   every call, to read and to try`,
    `  ${url}/v1/metrics/templates/{templateId}   what each step earned (with the API key in dev.env)`,
  ].join('\n')
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
