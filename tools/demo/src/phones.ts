// The phones of everybody: what has arrived at the providers is written into the accounts, and acted upon.
import { pause } from './api'
import { channels, type Account } from './ledger'
import { ended, makeSure, messageOf, type World } from './life'
import { phoneNumberOf, type OnMessage, type Person } from './people'
import type { Arrival } from './sandbox'

/** What fetches a link when it shows a message and is nobody's click. */
const scanners: readonly RequestInit[] = [
  { method: 'GET', headers: { 'user-agent': 'facebookexternalhit/1.1;kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984' } },
  { method: 'HEAD', headers: { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15' } },
]

const smsStep = 3

const conductOn = (person: Person, step: number): OnMessage => [person.onPush, person.onSms, person.onKakao][step - 2] ?? 'nothing'

/** Everybody's phones. */
export class Phones {
  private seen = 0
  private readonly acts: Promise<void>[] = []
  private readonly messages: ReadonlyMap<string, { readonly account: Account; readonly step: number }>

  constructor(
    accounts: readonly Account[],
    private readonly world: World,
    private readonly since: Date,
  ) {
    const steps = channels.map((_, index) => index + 1).slice(1)
    this.messages = new Map(accounts.flatMap((account) => steps.map((step) => [messageOf(account, step), { account, step }])))
  }

  /** Looks at the log of arrivals. @throws what went wrong on a phone before */
  async look(): Promise<void> {
    const arrivals = await this.world.sandbox.arrivals(this.since)
    // A sandbox that was restarted begins a new log.
    if (arrivals.length < this.seen) this.seen = 0
    for (const arrival of arrivals.slice(this.seen)) this.arrived(arrival)
    this.seen = arrivals.length
  }

  /** Resolves when everybody has done what they do with the messages that have arrived. */
  async done(): Promise<void> {
    await Promise.all(this.acts)
  }

  private arrived({ messageId, to, accepted, answer, at }: Arrival): void {
    const message = messageId === null ? undefined : this.messages.get(messageId)
    if (message === undefined) return
    const { account, step } = message
    const happened = account.steps[step - 1]!
    const isFirst = accepted && !happened.arrivals.some((before) => before.accepted)
    happened.arrivals.push({ to, accepted, answer })
    if (!isFirst) return
    happened.windowEndsAt = Date.parse(at) + this.world.windowMs
    const act = this.take(account, step)
    act.catch(() => undefined)
    this.acts.push(act)
  }

  private async take(account: Account, step: number): Promise<void> {
    const { person } = account
    const conduct = conductOn(person, step)
    // What is only reported as undeliverable later never reaches a phone.
    const isLost = (step === smsStep && person.smsNumber !== 'works') || (step > smsStep && person.kakaoTalk !== 'works')
    if (conduct === 'nothing' || isLost) return
    await this.report(account, step, 'delivered')
    if (step === smsStep && person.isPreviewed) await this.preview(account)
    if (conduct === 'receives') return
    const happened = account.steps[step - 1]!
    if (!happened.isLate) makeSure(account, step, this.world)
    if (happened.isLate && step < channels.length) await ended(account, this.world)
    await pause(person.hesitationMs, this.world.signal)
    await this.report(account, step, 'clicked')
    happened.actedAt = Date.now()
  }

  private async report(account: Account, step: number, kind: 'delivered' | 'clicked'): Promise<void> {
    await this.world.sandbox.phone(messageOf(account, step), kind)
    account.steps[step - 1]!.reported.add(kind)
  }

  /** Fetches the tracked link as scanners do, not as a person. */
  private async preview(account: Account): Promise<void> {
    const [link] = await this.world.sandbox.linksOf(messageOf(account, smsStep), phoneNumberOf(account.person)!)
    if (link === undefined) throw new Error(`The SMS of ${account.person.userId} has no tracked link in it.`)
    for (const scanner of scanners) {
      // A scanner does not come back while a service restarts.
      const signal = AbortSignal.any([this.world.signal, AbortSignal.timeout(20_000)])
      const answer = await fetch(link, { ...scanner, redirect: 'manual', signal }).catch(() => null)
      if (answer?.status === 302) account.steps[smsStep - 1]!.isPreviewed = true
    }
  }
}
