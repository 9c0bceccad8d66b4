// What every provider must do, whatever it speaks: a suite run against each one and a server that speaks its protocol.
import type { ChannelType } from '@stepcast/contracts'
import type { Permit, Provider, ProviderMessage } from './provider'

/** What happens to the next request. */
export type Weather = 'fair' | 'quota_exceeded' | 'internal_error' | 'rejected' | 'hangs' | 'accepted_then_reset'

/** A provider with a server behind it. */
export interface ProviderFixture<C extends ChannelType> {
  readonly provider: Provider<C>
  /** A message to a living address. */
  message(messageId: string): ProviderMessage<C>
  /** A message to an address its provider calls gone. */
  messageToDeadAddress(messageId: string): ProviderMessage<C>
  /** Sets what becomes of the next request; quota_exceeded says to come back after 3 s. */
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
    expect(await fixture().provider.send(fixture().message(id), permit(5_000))).toEqual({
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

  it('was not taken when the provider answers an internal error', async () => {
    await fixture().weather('internal_error')
    expect(await fixture().provider.send(fixture().message(newMessageId(channel)), permit(5_000))).toMatchObject({
      kind: 'retry',
      afterMs: null,
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
    expect(outcome).toMatchObject({ kind: 'rejected', deadAddress: true })
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
