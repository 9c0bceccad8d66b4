// What every provider must do, whatever it speaks: a suite run against each one and a server that speaks its protocol.
import type { ChannelType } from '@stepcast/contracts'
import type { Permit, Provider, ProviderMessage } from './provider'

/** What happens to the next request. */
export type Weather = 'fair' | 'quota_exceeded' | 'internal_error' | 'rejected' | 'hangs' | 'accepted_then_reset' | 'goes_away'

/** A provider with a server behind it. */
export interface ProviderFixture<C extends ChannelType> {
  readonly provider: Provider<C>
  /** A message to a living address. */
  message(messageId: string): ProviderMessage<C>
  /** A message to an address its provider calls gone. */
  messageToDeadAddress(messageId: string): ProviderMessage<C>
  /** What an internal error means: `unknown` where a repeat of what was taken after all costs money; `retry` unless told. */
  readonly internalErrorIs?: 'retry' | 'unknown'
  /** Whether an address its provider calls gone is forgotten; it is unless told. Numbers are not: they may come back. */
  readonly forgetsDeadAddresses?: boolean
  /** Sets what becomes of the next request; quota_exceeded says to come back after 3 s, goes_away ends the connection. */
  weather(weather: Weather): Promise<void>
  /** How often the server saw the message. */
  arrivals(messageId: string): Promise<number>
  /** The same provider where nobody listens. */
  readonly unreachable: Provider<C>
}

const permit = (timeoutMs: number, mayBegin = true): Permit => ({ signal: AbortSignal.timeout(timeoutMs), mayBegin: () => mayBegin })

let messages = 0
const newMessageId = (channel: string): string => `623f8d79-cdc6-5760-8ab0-${String(++messages).padStart(12, '0')}.1.${channel}`

/** Declares the suite. Call it inside a `describe`, with a function that gives the fixture once it is set up. */
export function itIsAProvider<C extends ChannelType>(channel: C, fixture: () => ProviderFixture<C>): void {
  it('accepts, with an id of its own', async () => {
    const id = newMessageId(channel)
    expect(await fixture().provider.send(fixture().message(id), permit(5_000))).toMatchObject({
      kind: 'accepted',
      providerMessageId: expect.any(String),
    })
    expect(await fixture().arrivals(id)).toBe(1)
  })

  it('was not taken when the provider throttles, and waits as long as it is told', async () => {
    await fixture().weather('quota_exceeded')
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({
      kind: 'retry',
      afterMs: 3_000,
    })
  })

  it('takes an internal error for what it is: not taken where repeats collapse, perhaps taken where they cost money', async () => {
    await fixture().weather('internal_error')
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({
      kind: fixture().internalErrorIs ?? 'retry',
    })
  })

  it('is rejected for good when the provider says so, its address alive', async () => {
    await fixture().weather('rejected')
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({
      kind: 'rejected',
      deadAddress: false,
    })
  })

  it('knows a dead address', async () => {
    const outcome = await fixture().provider.send(fixture().messageToDeadAddress(newMessageId(channel)), permit(5_000))
    expect(outcome).toMatchObject({ kind: 'rejected', deadAddress: fixture().forgetsDeadAddresses ?? true })
  })

  it('says nothing of whom it was for when it is refused', async () => {
    const message = fixture().messageToDeadAddress(newMessageId(channel))
    const outcome = JSON.stringify(await fixture().provider.send(message, permit(5_000)))
    for (const personal of [message.address, message.userId]) expect(outcome).not.toContain(personal)
  })

  it('sends many at a time, each once', async () => {
    const ids = Array.from({ length: 50 }, () => newMessageId(channel))
    const outcomes = await Promise.all(ids.map((id) => fixture().provider.send(fixture().message(id), permit(5_000))))
    expect(outcomes.map(({ kind }) => kind)).toEqual(ids.map(() => 'accepted'))
    expect(await Promise.all(ids.map((id) => fixture().arrivals(id)))).toEqual(ids.map(() => 1))
  })

  it('goes on when the provider ends the connection', async () => {
    await fixture().weather('goes_away')
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({ kind: 'accepted' })
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({ kind: 'accepted' })
  })

  it('is unknown when no answer comes in time', async () => {
    const id = newMessageId(channel)
    await fixture().weather('hangs')
    expect(await fixture().provider.send(fixture().message(id), permit(300))).toMatchObject({ kind: 'unknown', reason: 'timeout' })
    expect(await fixture().arrivals(id)).toBe(1)
  })

  it('is unknown when the connection breaks after bytes were sent, and nothing resends it', async () => {
    const id = newMessageId(channel)
    await fixture().weather('accepted_then_reset')
    expect(await fixture().provider.send(fixture().message(id), permit(5_000))).toMatchObject({ kind: 'unknown' })
    expect(await fixture().arrivals(id)).toBe(1)
  })

  it('was not taken when nobody listens', async () => {
    expect(await fixture().unreachable.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({ kind: 'retry' })
  })

  it('writes nothing when it may not begin', async () => {
    const id = newMessageId(channel)
    expect(await fixture().provider.send(fixture().message(id), permit(5_000, false))).toMatchObject({
      kind: 'retry',
      reason: 'lease_too_short',
    })
    expect(await fixture().arrivals(id)).toBe(0)
  })

  it('writes nothing when its time is over', async () => {
    const id = newMessageId(channel)
    expect(await fixture().provider.send(fixture().message(id), { signal: AbortSignal.abort(), mayBegin: () => true })).toMatchObject({
      kind: 'retry',
    })
    expect(await fixture().arrivals(id)).toBe(0)
  })
}
