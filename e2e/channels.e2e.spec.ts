// Every channel from outside: four steps through the providers' own protocols, links that people and programs open, callbacks, and storms
// in which nothing that costs money may be sent twice.
import { eventually } from '@stepcast/testing'
import { Caller, makeWorkspace, type Arrival } from './outside'
import {
  approved,
  broadcastTemplate,
  ended,
  factsOf,
  giveNumber,
  givePhone,
  inOneLine,
  numberOf,
  openStage,
  requested,
  sendTo,
  stepsTemplate,
  story,
  type Stage,
} from './stage'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
  await Promise.all([
    approved(stage.shop, stepsTemplate('four-steps', 'in_app', 'push', 'sms', 'kakao')),
    approved(stage.shop, stepsTemplate('text-first', 'sms', 'kakao')),
    approved(stage.shop, stepsTemplate('talk-first', 'kakao', 'sms')),
    approved(stage.shop, stepsTemplate('feed-then-text', 'in_app', 'sms')),
    approved(stage.shop, broadcastTemplate('text', 'sms')),
  ])
}, 180_000)

afterAll(() => stage?.close(), 60_000)

const phoneBrowser = { 'user-agent': 'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36' }
const kind = ({ history }: any, step: number, wanted: string) =>
  history.find((event: any) => event.type === 'EngagementRecorded' && event.step === step && event.kind === wanted)
const accepted = (arrivals: readonly Arrival[]) => arrivals.filter((arrival) => arrival.accepted).length

/** The first tracked link of a message on the phone at this number. */
const linkIn = (messageId: string, number: string): Promise<string> =>
  eventually(async () => (await stage.sandbox.held(messageId, number))?.links.find(({ tracked }) => tracked)?.url)

describe('side by side', () => {
  it.concurrent('who ignores in-app, push and SMS gets one message on each channel, KakaoTalk last', async () => {
    const { shop, sandbox } = stage
    await giveNumber(shop, 'ignores', numberOf(101), '+821000010101')
    await givePhone(shop, 'ignores', 'tok_ignores', 'apns')
    const sequenceId = await sendTo(shop, 'four-steps', 'ignores')
    const told = await ended(shop, sequenceId)
    expect(inOneLine(told)).toBe(
      'SequenceStarted StepCommanded(1) | EngagementRecorded(1 requested) | StepEnded(1 waitElapsed) StepCommanded(2) | ' +
        'EngagementRecorded(2 requested) | StepEnded(2 waitElapsed) StepCommanded(3) | EngagementRecorded(3 requested) | ' +
        'StepEnded(3 waitElapsed) StepCommanded(4) | EngagementRecorded(4 requested) StepEnded(4 completed) SequenceEnded(exhausted)',
    )
    expect(kind(told, 2, 'requested').detail).toMatchObject({ provider: 'apns', target: 'phone' })
    expect(kind(told, 3, 'requested').detail).toMatchObject({ provider: 'twilio', target: 'number', segments: '1' })
    expect(kind(told, 4, 'requested').detail).toMatchObject({ provider: 'solapi', target: 'number' })
    expect(JSON.stringify(told)).not.toMatch(/5550101|10000101|tok_ignores/)
    expect(await sandbox.arrivals(`${sequenceId}.2.push`)).toMatchObject([{ to: 'tok_ignores', accepted: true }])
    expect(await sandbox.arrivals(`${sequenceId}.3.sms`)).toMatchObject([{ to: numberOf(101), accepted: true }])
    expect(await sandbox.arrivals(`${sequenceId}.4.kakao`)).toMatchObject([{ to: '+821000010101', accepted: true }])
    await sandbox.deliver(`${sequenceId}.3.sms`)
    await sandbox.deliver(`${sequenceId}.4.kakao`)
    await sandbox.tap(`${sequenceId}.4.kakao`)
    const after = await story(shop, sequenceId, (now) => factsOf(now, 4).includes('clicked') && factsOf(now, 3).includes('delivered'))
    expect(after.outcome).toBe('exhausted')
  })

  it.concurrent('a push tapped in time: no SMS', async () => {
    const { shop, sandbox } = stage
    await giveNumber(shop, 'taps', numberOf(102))
    await givePhone(shop, 'taps', 'tok_taps', 'apns')
    const sequenceId = await sendTo(shop, 'four-steps', 'taps')
    await requested(shop, sequenceId, 2)
    await sandbox.tap(`${sequenceId}.2.push`)
    expect(await ended(shop, sequenceId)).toMatchObject({ outcome: 'stopped', step: 2 })
    expect(await sandbox.arrivals(`${sequenceId}.3.sms`)).toEqual([])
  })

  it.concurrent('a link in an SMS is short and leads where it should; a person who opens it, once or twice, stops there', async () => {
    const { shop, sandbox, system } = stage
    await giveNumber(shop, 'opens', numberOf(103))
    const sequenceId = await sendTo(shop, 'text-first', 'opens')
    await requested(shop, sequenceId)
    const link = await linkIn(`${sequenceId}.1.sms`, numberOf(103))
    expect(link).toMatch(new RegExp(`^${system.url}/l/s[\\w-]{16,32}$`))
    expect((await sandbox.held(`${sequenceId}.1.sms`, numberOf(103))).body).toBe(`Order 1: ${link}`)
    for (let visit = 1; visit <= 2; visit++) {
      const answer = await fetch(link, { headers: phoneBrowser, redirect: 'manual' })
      expect([answer.status, answer.headers.get('location')]).toEqual([302, 'https://shop.example/orders/1'])
    }
    const told = await ended(shop, sequenceId)
    expect(told).toMatchObject({ outcome: 'stopped', step: 1 })
    expect(factsOf(told, 1)).toBe('requested clicked')
    expect(await sandbox.arrivals(`${sequenceId}.2.kakao`)).toEqual([])
    const bent = link.replace(/(?<=\/l\/s)./, (first) => (first === 'A' ? 'B' : 'A'))
    expect((await fetch(bent, { headers: phoneBrowser, redirect: 'manual' })).status).toBe(404)
  })

  it.concurrent('a KakaoTalk button tapped in time: no SMS, and the button is named', async () => {
    const { shop, sandbox } = stage
    await giveNumber(shop, 'talks', numberOf(104))
    const sequenceId = await sendTo(shop, 'talk-first', 'talks')
    await requested(shop, sequenceId)
    await sandbox.tap(`${sequenceId}.1.kakao`)
    const told = await ended(shop, sequenceId)
    expect(told).toMatchObject({ outcome: 'stopped', step: 1 })
    expect(kind(told, 1, 'clicked').detail).toMatchObject({ buttonId: 'track' })
    expect(await sandbox.arrivals(`${sequenceId}.2.sms`)).toEqual([])
  })

  it.concurrent('link previews, scanners, prefetches and HEAD are led on, and are no clicks: the sequence goes on', async () => {
    const { shop } = stage
    await giveNumber(shop, 'previewed', numberOf(105))
    const sequenceId = await sendTo(shop, 'text-first', 'previewed')
    await requested(shop, sequenceId)
    const link = await linkIn(`${sequenceId}.1.sms`, numberOf(105))
    const programs: RequestInit[] = [
      { headers: { 'user-agent': 'facebookexternalhit/1.1;kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984' } },
      { headers: { 'user-agent': 'WhatsApp/2.23.20.0' } },
      { headers: { ...phoneBrowser, 'sec-purpose': 'prefetch;prerender' } },
      { headers: phoneBrowser, method: 'HEAD' },
    ]
    for (const program of programs) expect((await fetch(link, { ...program, redirect: 'manual' })).status).toBe(302)
    const told = await ended(shop, sequenceId)
    expect(told).toMatchObject({ outcome: 'exhausted' })
    expect(factsOf(told, 1)).toBe('requested')
  })

  it.concurrent('a number that the carrier cannot reach: failed, and KakaoTalk at once; a number that is none: likewise', async () => {
    const { shop } = stage
    // Codes that the sandbox answers with: 30003 in a callback, 21211 at once.
    for (const [userId, number, facts, reason] of [
      ['unreachable', '+15550300031', 'requested failed', '30003'],
      ['invalid', '+15550000001', 'failed', '21211'],
    ] as const) {
      await giveNumber(shop, userId, number, '+821000010106')
      const told = await ended(shop, await sendTo(shop, 'text-first', userId))
      expect(factsOf(told, 1)).toBe(facts)
      expect(kind(told, 1, 'failed')).toMatchObject({ reason })
      expect(told.history.find(({ type }: any) => type === 'StepEnded')).toMatchObject({ step: 1, reason: 'failed' })
      expect(factsOf(told, 2)).toBe('requested')
    }
  })

  it.concurrent('STOP: the next message is skipped without asking Twilio, the next step goes at once although failures wait, and START lifts it', async () => {
    const { shop, sandbox } = stage
    const waits = stepsTemplate('text-and-wait', 'sms', 'kakao')
    await approved(shop, {
      ...waits,
      config: { ...waits.config, sequence: { ...waits.config.sequence, onFailure: 'wait' } },
    } as typeof waits)
    await giveNumber(shop, 'stops', numberOf(110), '+821000010110')
    const first = await sendTo(shop, 'text-and-wait', 'stops')
    await requested(shop, first)
    await sandbox.answers(numberOf(110), 'stop')
    const unsubscribed = [{ channelType: 'sms', sender: '+15005550006', since: expect.stringMatching(/Z$/) }]
    expect(await shop.server.get('/v1/users/stops')).toMatchObject({ unsubscribed })
    const second = await ended(shop, await sendTo(shop, 'text-and-wait', 'stops'))
    expect(kind(second, 1, 'skipped')).toMatchObject({
      reason: 'unsubscribed',
      why: 'SMS of step 1 was skipped (unsubscribed), as sms-dispatcher reported: it can no longer engage.',
    })
    expect(inOneLine(second)).toBe(
      'SequenceStarted StepCommanded(1) | EngagementRecorded(1 skipped) StepEnded(1 skipped) StepCommanded(2) | ' +
        'EngagementRecorded(2 requested) StepEnded(2 completed) SequenceEnded(exhausted)',
    )
    expect(await sandbox.arrivals(`${second.sequenceId}.1.sms`)).toEqual([])
    await sandbox.answers(numberOf(110), 'start')
    expect(await shop.server.get('/v1/users/stops')).toMatchObject({ unsubscribed: [] })
    await requested(shop, await sendTo(shop, 'text-and-wait', 'stops'))
    // Known to Twilio alone (21610): asked once, and the same from then on.
    await giveNumber(shop, 'stopped-before', '+15550216101', '+821000010111')
    for (const arrivals of [1, 0]) {
      const told = await ended(shop, await sendTo(shop, 'text-and-wait', 'stopped-before'))
      expect([factsOf(told, 1), (await sandbox.arrivals(`${told.sequenceId}.1.sms`)).length]).toEqual(['skipped', arrivals])
    }
    const metrics = await eventually(async () => {
      const { steps } = await shop.server.get('/v1/metrics/templates/text-and-wait')
      if (steps[0].skipped === 3) return steps[0]
      throw new Error(JSON.stringify(steps))
    })
    expect(metrics).toMatchObject({ failed: 0, channels: [{ channelType: 'sms', skipped: 3, failed: 0 }] })
  })

  it.concurrent('opted out of SMS while the step before waits: no SMS is sent', async () => {
    const { shop, sandbox } = stage
    await giveNumber(shop, 'opts-out', numberOf(107))
    const sequenceId = await sendTo(shop, 'feed-then-text', 'opts-out')
    await requested(shop, sequenceId)
    await shop.server.put('/v1/users/opts-out/preferences', { optOut: { channels: ['sms'] } })
    const told = await ended(shop, sequenceId)
    expect(kind(told, 2, 'skipped')).toMatchObject({ reason: 'opted_out' })
    expect(await sandbox.arrivals(`${sequenceId}.2.sms`)).toEqual([])
  })

  it.concurrent('a workspace without accounts: each paid step is skipped, and the sequence goes on to its end', async () => {
    const { system, sandbox } = stage
    const bare = await makeWorkspace(system.url, system.rootKey, sandbox, 'bare', false)
    await approved(bare, stepsTemplate('four-steps', 'in_app', 'push', 'sms', 'kakao'))
    await giveNumber(bare, 'somebody', numberOf(108))
    await givePhone(bare, 'somebody')
    const told = await ended(bare, await sendTo(bare, 'four-steps', 'somebody'))
    expect(told.outcome).toBe('exhausted')
    for (const step of [2, 3, 4]) expect(kind(told, step, 'skipped')).toMatchObject({ reason: 'channel_disabled' })
  })

  it.concurrent('an account counts from the next send on, once taken away for a second at most, and is never shown', async () => {
    const { system, sandbox } = stage
    const late = await makeWorkspace(system.url, system.rootKey, sandbox, 'late-account', false)
    await approved(late, broadcastTemplate('text', 'sms'))
    await giveNumber(late, 'somebody', numberOf(109))
    const twilio = (digit: string) => ({ accountSid: `AC${digit.repeat(32)}`, authToken: `secret-token-no-${digit}`, from: '+15005550006' })
    const path = '/v1/workspace/providers/twilio'
    const outcome = async () => (await ended(late, await sendTo(late, 'text', 'somebody'))).outcome
    expect(await outcome()).toBe('unreachable')
    for (const digit of ['1', '2']) {
      const given = await late.server.take('PUT', path, twilio(digit))
      expect(given).toMatchObject({ provider: 'twilio', account: twilio(digit).accountSid })
      expect(await outcome()).toBe('exhausted')
    }
    expect(JSON.stringify(await late.server.get('/v1/workspace/providers'))).not.toContain('secret-token')
    await late.server.take('DELETE', path)
    await new Promise((done) => setTimeout(done, 1_500))
    expect(await outcome()).toBe('unreachable')
  })

  it.concurrent('a cancelled sequence takes back an SMS that waits for its provider', async () => {
    const { system, sandbox } = stage
    const queued = await makeWorkspace(system.url, system.rootKey, sandbox, 'queued', false)
    await approved(queued, stepsTemplate('text-first', 'sms', 'kakao'))
    await giveNumber(queued, 'waits', numberOf(110))
    await giveNumber(queued, 'goes', numberOf(111))
    const account = { accountSid: `AC${'3'.repeat(32)}`, authToken: 'what the workspace has'.replaceAll(' ', '-') }
    await queued.server.put('/v1/workspace/providers/twilio', { ...account, from: '+15005550006' })
    // The provider knows another token: it refuses every request until somebody mends that.
    await sandbox.registerAccount({ provider: 'twilio', accountSid: account.accountSid, authToken: 'what-the-provider-has' })
    const [waits, goes] = [await sendTo(queued, 'text-first', 'waits'), await sendTo(queued, 'text-first', 'goes')]
    for (const sequenceId of [waits, goes]) await eventually(async () => (await sandbox.arrivals(`${sequenceId}.1.sms`)).length > 0)
    await queued.server.post(`/v1/sequences/${waits}/cancel`)
    const told = await story(queued, waits, (now) => factsOf(now, 1) === 'skipped')
    expect(told.outcome).toBe('cancelled')
    expect(kind(told, 1, 'skipped')).toMatchObject({ reason: 'withdrawn' })
    await sandbox.registerAccount({ provider: 'twilio', ...account })
    await requested(queued, goes)
    expect(accepted(await sandbox.arrivals(`${goes}.1.sms`))).toBe(1)
    expect(accepted(await sandbox.arrivals(`${waits}.1.sms`))).toBe(0)
  })

  it.concurrent('a callback that the account did not sign is refused and changes nothing', async () => {
    const { shop, stranger, system } = stage
    await giveNumber(shop, 'forged', numberOf(112))
    const sequenceId = await sendTo(shop, 'text', 'forged')
    await ended(shop, sequenceId)
    const body = new URLSearchParams({ MessageSid: `SM${'0'.repeat(32)}`, MessageStatus: 'delivered' })
    for (const signature of [undefined, Buffer.alloc(20).toString('base64')]) {
      for (const { workspaceId } of [shop, stranger]) {
        const url = `${system.url}/v1/callbacks/twilio/${workspaceId}?m=${sequenceId}.1.sms`
        const headers: Record<string, string> = signature === undefined ? {} : { 'x-twilio-signature': signature }
        const answer = await fetch(url, { method: 'POST', body, headers })
        expect(answer.status).toBe(403)
      }
    }
    const report = JSON.stringify([{ messageId: 'M4V', statusCode: '4000', customFields: { messageId: `${sequenceId}.1.kakao` } }])
    const headers = { 'x-solapi-secret': '0'.repeat(40) }
    const answer = await fetch(`${system.url}/v1/callbacks/solapi/shop`, { method: 'POST', body: report, headers })
    expect(answer.status).toBe(403)
    expect(factsOf(await story(shop, sequenceId), 1)).toBe('requested')
  })
})

// A fault strikes everybody of a provider: from here on one rule at a time.
describe('while a provider misbehaves', () => {
  beforeAll(() => stage.sandbox.mend())
  afterEach(() => stage.sandbox.mend())

  /** Sends to so many people with a number each; answers their sequences once all have ended. */
  const crowd = async (templateId: string, size: number): Promise<any[]> => {
    const { shop } = stage
    const userIds = Array.from({ length: size }, (_, i) => `crowd-${i}`)
    await Promise.all(userIds.map((userId, i) => giveNumber(shop, userId, numberOf(120 + i))))
    const { sendId } = await shop.server.post('/v1/sends', { templateId, receivers: userIds.map((userId) => ({ userId })) })
    const listed = await eventually(async () => {
      const { items } = await shop.server.get(`/v1/sequences?sendId=${sendId}&limit=100`)
      return items.length === size && items
    })
    return Promise.all(listed.map(({ sequenceId }: any) => ended(shop, sequenceId)))
  }
  const messagesOf = (sequences: readonly any[]): string[] =>
    sequences.flatMap(({ sequenceId }) => [`${sequenceId}.1.sms`, `${sequenceId}.2.kakao`])
  const listedUnknown = async (channel: string): Promise<any[]> => (await stage.shop.server.get(`/v1/${channel}/unknown?limit=100`)).items

  it.each([
    ['duplicate-callbacks', {}, 'requested delivered'],
    ['reordered-callbacks', {}, 'requested delivered'],
    ['late-callbacks', { delayMs: 2_000 }, 'requested delivered'],
  ])('%s of Twilio tell each fact once', async (mode, more, facts) => {
    const { shop, sandbox } = stage
    await sandbox.fault('twilio', mode, more)
    await giveNumber(shop, mode, numberOf(190))
    const sequenceId = await sendTo(shop, 'text', mode)
    await ended(shop, sequenceId)
    await sandbox.deliver(`${sequenceId}.1.sms`)
    await story(shop, sequenceId, (now) => factsOf(now, 1).includes('delivered'))
    // Whatever comes twice or too late has come by then.
    await new Promise((done) => setTimeout(done, 2_500))
    expect(factsOf(await story(shop, sequenceId), 1)).toBe(facts)
  })

  it('a storm of 429: every message is sent once and every sequence ends', async () => {
    const { sandbox } = stage
    for (const provider of ['twilio', 'solapi']) await sandbox.fault(provider, '429', { rate: 0.5, retryAfterS: 1 })
    const sequences = await crowd('text-first', 40)
    let refused = 0
    for (const messageId of messagesOf(sequences)) {
      const arrivals = await sandbox.arrivals(messageId)
      expect([messageId, accepted(arrivals)]).toEqual([messageId, 1])
      refused += arrivals.length - 1
    }
    expect(refused).toBeGreaterThan(20)
    for (const told of sequences) {
      expect([told.outcome, factsOf(told, 1), factsOf(told, 2)]).toEqual(['exhausted', 'requested', 'requested'])
    }
  }, 120_000)

  it('a storm of accept-then-reset: nothing is sent twice, every sequence ends, and an operator settles what is unknown', async () => {
    const { shop, sandbox } = stage
    // Callbacks would settle it at once: they come when nobody waits for them any more.
    await sandbox.fault('twilio', 'late-callbacks', { delayMs: 600_000 })
    for (const provider of ['twilio', 'solapi']) await sandbox.fault(provider, 'accept-then-reset', { rate: 0.5 })
    const sequences = await crowd('text-first', 40)
    const reset = new Set<string>()
    for (const messageId of messagesOf(sequences)) {
      const arrivals = await sandbox.arrivals(messageId)
      expect([messageId, arrivals.length, accepted(arrivals)]).toEqual([messageId, 1, 1])
      if (arrivals[0]!.answer === 'reset') reset.add(messageId)
    }
    for (const told of sequences) {
      expect(told.outcome).toBe('exhausted')
      for (const [step, channel] of [
        [1, 'sms'],
        [2, 'kakao'],
      ] as const) {
        expect(factsOf(told, step)).toBe(reset.has(`${told.sequenceId}.${step}.${channel}`) ? 'unknown' : 'requested')
      }
    }
    const unknown = [...(await listedUnknown('sms')), ...(await listedUnknown('kakao'))]
    expect(new Set(unknown.map(({ messageId }) => messageId))).toEqual(reset)
    await sandbox.mend()

    const [sent, notSent, again] = await listedUnknown('sms')
    const resolve = ({ messageId }: any, action: string) => shop.server.ask('POST', `/v1/sms/unknown/${messageId}/number`, { action })
    const factsOfMessage = async ({ messageId }: any) => factsOf(await shop.server.get(`/v1/sequences/${messageId.split('.')[0]}`), 1)
    for (const [entry, action, facts, arrived] of [
      [sent, 'sent', 'unknown requested', 1],
      [notSent, 'not_sent', 'unknown failed', 1],
      [again, 'resend', 'unknown requested', 2],
    ] as const) {
      expect((await resolve(entry, action)).status).toBe(204)
      expect((await resolve(entry, action)).status).toBe(204)
      await eventually(async () => (await factsOfMessage(entry)) === facts)
      expect(await sandbox.arrivals(entry.messageId)).toHaveLength(arrived)
    }
    expect((await resolve(sent, 'not_sent')).status).toBe(409)
    const left = new Set((await listedUnknown('sms')).map(({ messageId }) => messageId))
    for (const { messageId } of [sent, notSent, again]) expect(left.has(messageId)).toBe(false)
  }, 120_000)

  it('a status callback settles what was unknown, by itself', async () => {
    const { shop, sandbox } = stage
    await sandbox.fault('twilio', 'accept-then-reset', { count: 1 })
    await sandbox.fault('twilio', 'late-callbacks', { delayMs: 2_000 })
    await giveNumber(shop, 'settled', numberOf(191))
    const sequenceId = await sendTo(shop, 'text', 'settled')
    const messageId = `${sequenceId}.1.sms`
    await story(shop, sequenceId, (now) => factsOf(now, 1) === 'unknown')
    expect(await listedUnknown('sms')).toContainEqual(expect.objectContaining({ messageId }))
    await story(shop, sequenceId, (now) => factsOf(now, 1) === 'unknown requested')
    expect(await listedUnknown('sms')).not.toContainEqual(expect.objectContaining({ messageId }))
    expect(await sandbox.arrivals(messageId)).toHaveLength(1)
  })

  it('a provider that hangs: the SMS is unknown and never sent again; its neighbours go on', async () => {
    const { shop, sandbox } = stage
    await sandbox.fault('twilio', 'hang', { count: 1 })
    await Promise.all([giveNumber(shop, 'hung', numberOf(192)), giveNumber(shop, 'neighbour', numberOf(193))])
    const hung = await sendTo(shop, 'text', 'hung')
    await eventually(async () => (await sandbox.arrivals(`${hung}.1.sms`)).length === 1)
    expect(await ended(shop, await sendTo(shop, 'text', 'neighbour'))).toMatchObject({ outcome: 'exhausted' })
    const told = await story(shop, hung, (now) => factsOf(now, 1) === 'unknown')
    expect(told.outcome).toBe('exhausted')
    expect(await sandbox.arrivals(`${hung}.1.sms`)).toHaveLength(1)
  })
})

it('sms-dispatcher killed in the middle of a call: the SMS is unknown and never sent again, and others go out as before', async () => {
  const { shop, sandbox, system } = stage
  await sandbox.fault('twilio', 'hang', { count: 1 })
  await Promise.all([giveNumber(shop, 'mid-call', numberOf(194)), giveNumber(shop, 'after', numberOf(195))])
  const sequenceId = await sendTo(shop, 'text', 'mid-call')
  const messageId = `${sequenceId}.1.sms`
  await eventually(async () => (await sandbox.arrivals(messageId))[0]?.answer === 'hang', { everyMs: 20 })
  system.services['sms-dispatcher']!.kill('SIGKILL')
  const told = await story(shop, sequenceId, (now) => factsOf(now, 1) === 'unknown')
  expect(kind(told, 1, 'unknown')).toMatchObject({ reason: 'lease_expired' })
  expect(told.outcome).toBe('exhausted')
  expect(await ended(shop, await sendTo(shop, 'text', 'after'))).toMatchObject({ outcome: 'exhausted' })
  expect(await sandbox.arrivals(messageId)).toHaveLength(1)
})

it('what a person may not do: resolve with a key that only reads, or for another workspace', async () => {
  const { shop, stranger } = stage
  const path = '/v1/sms/unknown/00000000-0000-4000-8000-000000000000.1.sms/number'
  const reader: Caller = await shop.serverWith('read')
  expect((await reader.ask('POST', path, { action: 'sent' })).status).toBe(403)
  expect((await reader.ask('GET', '/v1/sms/unknown')).status).toBe(200)
  expect((await stranger.server.ask('POST', path, { action: 'sent' })).status).toBe(404)
  expect((await stranger.server.get('/v1/sms/unknown')).items).toEqual([])
})
