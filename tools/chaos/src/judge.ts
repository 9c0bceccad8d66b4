// The checker: joins what was asked, the log, the command topics, arrivals and numbers, and trusts no service. Pure.
import { commandTopicOf, parseMessageId, partitionOf, sequenceIdOf, type ChannelType, type SequenceChanged } from '@stepcast/contracts'
import { fold, timerOf, upcast } from '@stepcast/sequence'
import { answers, driver, isPaid, meets, targetOf, type Breach, type Cancelled, type History } from './history'
import { readLog, type Log } from './log'
import { differences, numbersOf } from './numbers'
import { walk, type Commanded, type Elapsed, type Walk } from './sequenceRules'

/** What the checker found. */
export interface Judgement {
  readonly breaches: readonly Breach[]
  /** Windows that ran out, for the lateness of timers. */
  readonly elapsed: readonly Elapsed[]
  readonly sequences: number
  /** Targets that a provider took more than once, all of them listed as unknown or a breach. */
  readonly arrivedAgain: number
  /** Accepted sends whose sequence has not ended. */
  readonly inFlight: number
}

interface Known {
  readonly history: History
  readonly log: Log
  readonly walks: ReadonlyMap<string, Walk>
  readonly messages: ReadonlyMap<string, Commanded>
  /** Whether everything that a turn of that partition and time recorded has been read: its changes come in no special order. */
  readonly isWhole: (partition: number, recordedAt: number | undefined) => boolean
}

/** Judges a history. What is missing is a breach once `final` is there; what is wrong is one at once. */
export function judge(history: History): Judgement {
  const log = readLog(history.changes)
  const walks = new Map([...log.stories].map(([sequenceId, story]) => [sequenceId, walk(story)]))
  const messages = new Map([...walks.values()].flatMap((walked) => [...walked.messages]))
  const known: Known = { history, log, walks, messages, isWhole: wholeTurns(history, log) }
  const arrived = arrivals(known)
  const breaches = [
    ...log.breaches,
    ...[...walks.values()].flatMap((walked) => walked.breaches),
    ...refold(known),
    ...started(known),
    ...passedOver(known),
    ...overdue(known),
    ...receiptsPassedOver(known),
    ...commanded(known),
    ...receiptsFirst(known),
    ...cancelled(known),
    ...optedOut(known),
    ...arrived.breaches,
    ...deadLetters(known),
    ...(history.final === null ? [] : [...complete(known), ...counted(known)]),
  ]
  return {
    breaches,
    sequences: walks.size,
    elapsed: [...walks.values()].flatMap(({ elapsed }) => elapsed),
    arrivedAgain: arrived.again,
    inFlight: history.accepted.filter(({ sequenceId }) => (walks.get(sequenceId)?.ended ?? null) === null).length,
  }
}

function wholeTurns(history: History, log: Log): Known['isWhole'] {
  const lastTurns = new Map(log.changes.map(({ logPartition, recordedAt }) => [logPartition, recordedAt]))
  return (partition, recordedAt) => recordedAt !== undefined && (history.final !== null || recordedAt < (lastTurns.get(partition) ?? 0))
}

/** The core must be able to read what it wrote, and agree on the end. */
function refold({ log, walks }: Known): Breach[] {
  const promise = 'fold(events) is the state; a running sequence has a timer'
  return [...log.stories].flatMap(([sequenceId, story]) => {
    try {
      const state = fold(story.map(({ recordedAt, events }) => ({ recordedAt, events: events.map(upcast) })))
      const outcome = state.status === 'ended' ? state.outcome : null
      if (outcome !== walks.get(sequenceId)!.ended) return [{ promise, what: `the core reads the outcome as ${outcome}`, sequenceId }]
      if (state.status === 'running' && timerOf(state) === null) return [{ promise, what: 'it runs and waits for nothing', sequenceId }]
      return []
    } catch (error) {
      return [{ promise, what: `the core cannot read it: ${(error as Error).message}`, sequenceId }]
    }
  })
}

/** Nothing starts that was not asked for, and what was asked for keeps its names. */
function started({ history, log }: Known): Breach[] {
  const promise = 'one sequence for each send'
  const accepted = new Map(history.accepted.map((one) => [one.sequenceId, one]))
  return [...log.stories].flatMap(([sequenceId, story]) => {
    const { workspaceId, sendId, userId, templateId } = story[0]!
    if (!history.asked.has(sequenceId)) return [{ promise, what: 'nobody asked for it', sequenceId }]
    const asked = accepted.get(sequenceId)
    const same =
      asked === undefined ||
      (asked.workspaceId === workspaceId && asked.sendId === sendId && asked.userId === userId && asked.templateId === templateId)
    return same ? [] : [{ promise, what: 'it names another workspace, send, user or template', sequenceId }]
  })
}

/** A partition's sends start in the order of their offsets: one that was passed over will never start. */
function passedOver({ history, walks, isWhole }: Known): Breach[] {
  let partitions = 1
  for (const { partition } of history.sends) partitions = Math.max(partitions, partition + 1)
  for (const { partition } of history.changes) partitions = Math.max(partitions, partition + 1)
  const accepted = new Set(history.accepted.map(({ sequenceId }) => sequenceId))
  // Where each sequence's send first stood at home: copies and detours say nothing about the order.
  const places = new Map<string, { partition: number; offset: number }>()
  for (const { partition, offset, value } of history.sends) {
    const sequenceId = sequenceIdOf(value.workspaceId, value.sendId, value.userId)
    if (!places.has(sequenceId) && partitionOf(sequenceId, partitions) === partition) places.set(sequenceId, { partition, offset })
  }
  const reached = new Map<number, number>()
  for (const [sequenceId, { partition, offset }] of places)
    if (isWhole(partition, walks.get(sequenceId)?.startedAt)) reached.set(partition, Math.max(reached.get(partition) ?? -1, offset))
  return [...places].flatMap(([sequenceId, { partition, offset }]) =>
    accepted.has(sequenceId) && !walks.has(sequenceId) && offset < (reached.get(partition) ?? -1)
      ? [
          {
            promise: 'no accepted send is lost',
            what: `later sends of partition ${partition} have started, the one at offset ${offset} has not`,
            sequenceId,
          },
        ]
      : [],
  )
}

/**
 * A partition's engagements are recorded in the order of their offsets: once one is recorded that happened after another was
 * acknowledged, that other one has been read.
 */
function receiptsPassedOver({ history, messages, log, isWhole }: Known): Breach[] {
  const partitionOfSequence = (sequenceId: string): number => log.stories.get(sequenceId)![0]!.logPartition
  const reached = new Map<number, number>()
  for (const { logPartition, recordedAt, events } of log.changes) {
    if (!isWhole(logPartition, recordedAt)) continue
    for (const event of events) {
      // Only the driver's own clock compares with its acknowledgements.
      if (event.type !== 'EngagementRecorded' || event.source !== driver) continue
      reached.set(logPartition, Math.max(reached.get(logPartition) ?? 0, event.occurredAt))
    }
  }
  return history.receipts.flatMap(({ messageId, kind, sentAt, ackedAt, isKeyed }) => {
    const message = messages.get(messageId)
    if (!isKeyed || message === undefined || message.commandedAt >= sentAt || message.kinds.includes(kind)) return []
    const behindMs = (reached.get(partitionOfSequence(message.sequenceId)) ?? 0) - ackedAt
    if (behindMs <= 0) return []
    const what = `${kind} of ${messageId} was acknowledged ${behindMs} ms before one that is recorded, and is not recorded itself`
    return [{ promise: 'no receipt is lost', what, sequenceId: message.sequenceId }]
  })
}

// Receipts first and the pace of catching up hold timers back by partition, not singly; what is more than this behind was forgotten.
const overdueMs = 5_000

/** A partition's windows elapse in the order in which they are due: one that was left behind is forgotten. */
function overdue({ walks, log, isWhole }: Known): Breach[] {
  const partitionOfSequence = (sequenceId: string): number => log.stories.get(sequenceId)![0]!.logPartition
  const reached = new Map<number, number>()
  for (const [sequenceId, { elapsed }] of walks) {
    const partition = partitionOfSequence(sequenceId)
    for (const { fireableAt, recordedAt } of elapsed) {
      if (isWhole(partition, recordedAt)) reached.set(partition, Math.max(reached.get(partition) ?? 0, fireableAt))
    }
  }
  return [...walks].flatMap(([sequenceId, { waiting }]) => {
    const behindMs = waiting === null ? 0 : (reached.get(partitionOfSequence(sequenceId)) ?? 0) - waiting
    return behindMs > overdueMs
      ? [
          {
            promise: 'a running sequence has a live timer',
            what: `windows due ${behindMs} ms later have elapsed in its partition, its own has not`,
            sequenceId,
          },
        ]
      : []
  })
}

/** No command without its event, and every repetition of it the same. */
function commanded({ history, messages }: Known): Breach[] {
  const promise = 'a command is what its event says, however often it is published'
  const digests = new Map<string, string>()
  const seenAt = new Map<number, number>()
  for (const { value } of history.changes) seenAt.set(value.logPartition, Math.max(seenAt.get(value.logPartition) ?? 0, value.recordedAt))
  const poison = new Set(history.poison.map(({ topic, digest }) => `${topic} ${digest}`))
  return history.commands.flatMap(({ topic, partition, value, digest }) => {
    if (poison.has(`${topic} ${digest}`)) return []
    const { messageId, sequenceId, action, commandedAt, expiresAt, channelType } = value
    const breach = (what: string): Breach[] => [{ promise, what, sequenceId }]
    if (commandTopicOf[channelType as ChannelType]?.name !== topic) return breach(`${messageId} stands on ${topic}`)
    const message = messages.get(messageId)
    if (message === undefined) {
      // The topics are read side by side: its event may be a moment behind.
      const late = history.final !== null || (seenAt.get(partition) ?? 0) > commandedAt + 5_000
      return late ? breach(`${messageId} was commanded, and no event says so`) : []
    }
    if (message.commandedAt !== commandedAt || message.expiresAt !== expiresAt) {
      const [said, meant] = [commandedAt, message.commandedAt].map((at) => new Date(at).toISOString())
      return breach(`${messageId} was commanded for ${said}, its event says ${meant}`)
    }
    if (action === 'withdraw') return []
    const before = digests.get(messageId)
    digests.set(messageId, digest)
    return before === undefined || before === digest ? [] : breach(`${messageId} was commanded with two contents`)
  })
}

/** Whoever engaged within the window, by Kafka's acknowledgement, is not sent the next step (rule 20). */
function receiptsFirst({ history, walks }: Known): Breach[] {
  const byMessage = new Map<string, (typeof history.receipts)[number][]>()
  for (const receipt of history.receipts) byMessage.set(receipt.messageId, [...(byMessage.get(receipt.messageId) ?? []), receipt])
  return [...walks].flatMap(([sequenceId, { started: start, elapsed, messages }]) =>
    elapsed.flatMap(({ step, dueAt, note }) => {
      if (note !== null) return []
      const condition = start?.steps[step - 1]?.stopCondition ?? null
      const own = [...messages.values()].filter((message) => message.step === step)
      const inTime = own
        .flatMap(({ messageId }) => byMessage.get(messageId) ?? [])
        .find(({ kind, ackedAt, isKeyed }) => isKeyed && meets(kind, condition) && ackedAt < dueAt)
      if (inTime === undefined) return []
      const beforeMs = dueAt - inTime.ackedAt
      const what = `${inTime.kind} of step ${step} was on Kafka ${beforeMs} ms before the window ended, and it elapsed all the same`
      return [{ promise: 'receipts first: who engaged within the window is not sent the next step', what, sequenceId }]
    }),
  )
}

// An erasure is answered at once and travels over a topic: it holds once that has been read, also by who was killed meanwhile.
const erasedWithinMs = 20_000

const covers = ({ scope, id, workspaceId }: Cancelled, { sequenceId, sendId, userId, workspaceId: of }: SequenceChanged): boolean =>
  of === workspaceId && id === { sequence: sequenceId, send: sendId, user: userId }[scope]

/** Once a cancel is answered, nothing of what it covers is commanded. */
function cancelled({ history, log }: Known): Breach[] {
  const stories = [...log.stories.values()]
  const bySend = new Map<string, (typeof stories)[number][]>()
  for (const story of stories) bySend.set(story[0]!.sendId, [...(bySend.get(story[0]!.sendId) ?? []), story])
  return history.cancels.flatMap((cancel) => {
    const patienceMs = cancel.scope === 'user' ? erasedWithinMs : 0
    const covered =
      cancel.scope === 'sequence'
        ? [log.stories.get(cancel.id) ?? []]
        : cancel.scope === 'send'
          ? (bySend.get(cancel.id) ?? [])
          : stories.filter((story) => story[0]!.userId === cancel.id)
    return covered.flatMap((story) =>
      story
        .filter((change) => covers(cancel, change))
        .flatMap(({ recordedAt, events, sequenceId }) =>
          recordedAt > cancel.answeredAt + patienceMs && events.some(({ type }) => type === 'StepCommanded' || type === 'StepDeferred')
            ? [
                {
                  promise: 'nothing is commanded after a cancel was answered',
                  sequenceId,
                  what: `commanded ${recordedAt - cancel.answeredAt} ms after the cancel of its ${cancel.scope} was answered`,
                },
              ]
            : [],
        ),
    )
  })
}

/** What is commanded after an opt-out was answered reaches nobody. */
function optedOut({ history, messages }: Known): Breach[] {
  const promise = 'no message reaches a channel its user has opted out of'
  const arrived = new Set(history.arrivals.map(({ messageId }) => messageId))
  return history.optOuts.flatMap(({ workspaceId, userId, channel, answeredAt }) =>
    [...messages.values()]
      .filter(
        (message) =>
          message.workspaceId === workspaceId &&
          message.userId === userId &&
          message.channelType === channel &&
          message.commandedAt > answeredAt &&
          (arrived.has(message.messageId) || message.kinds.includes('requested')),
      )
      .map(({ sequenceId, messageId, commandedAt }) => ({
        promise,
        sequenceId,
        what: `${messageId} was commanded ${commandedAt - answeredAt} ms after the opt-out and sent`,
      })),
  )
}

const isTaken = (answer: string): boolean => answer === '200' || answer === '201' || answer === 'hang' || answer === 'reset'

/** A target gets a message once; more often only where an attempt's outcome was unknown, and then it is listed. */
function arrivals({ history, messages }: Known): { breaches: Breach[]; again: number } {
  const promise = 'a provider gets a message once for each target, unless its outcome was unknown'
  const listed = new Set((history.unknown ?? []).map(({ messageId, target }) => `${messageId} ${target}`))
  const taken = new Map<string, string[]>()
  const breaches: Breach[] = []
  for (const { messageId, to, answer, at } of history.arrivals) {
    if (messageId === null) continue
    const sequenceId = parseMessageId(messageId)?.sequenceId ?? null
    if (!messages.has(messageId) && history.final !== null)
      breaches.push({ promise, sequenceId, what: `${messageId} arrived and was never commanded` })
    if (!isTaken(answer)) continue
    const name = `${messageId} ${targetOf(to)}`
    const before = taken.get(name)
    if (before) before.push(`${answer} at ${at}`)
    else taken.set(name, [`${answer} at ${at}`])
  }
  let again = 0
  for (const [name, times] of taken) {
    if (times.length === 1) continue
    again++
    const channelType = parseMessageId(name.split(' ')[0]!)?.channelType ?? ''
    if (isPaid(channelType)) {
      breaches.push({
        promise: 'what costs money is sent once, also where its outcome was unknown',
        sequenceId: parseMessageId(name.split(' ')[0]!)!.sequenceId,
        what: `${name} arrived ${times.length} times: ${times.join(', ')}`,
      })
      continue
    }
    if (history.unknown === null || listed.has(name)) continue
    breaches.push({
      promise,
      sequenceId: parseMessageId(name.split(' ')[0]!)?.sequenceId ?? null,
      what: `${name} arrived ${times.length} times and is not listed as unknown: ${times.join(', ')}`,
    })
  }
  return { breaches, again }
}

// What a driver's own receipts may come to without anybody being wrong: a copy of one that is too early for a second step.
const harmless = new Set(['step_never_commanded'])

/** Every malformed record is a dead letter with its reason; nothing else is. */
function deadLetters({ history }: Known): Breach[] {
  const named = ({ topic, digest, place }: { topic: string; digest: string; place: string }): string[] => [
    `${topic} ${digest}`,
    `${topic} at ${place}`,
  ]
  const reasons = new Map(history.poison.flatMap((poison) => named(poison).map((name) => [name, poison.reason] as const)))
  const letters = history.deadLetters.flatMap((letter): Breach[] => {
    const { topic, reason, detail } = letter
    const expected = named(letter).flatMap((name) => reasons.get(name) ?? [])[0]
    if (expected?.split(' or ').includes(reason) || (expected === undefined && harmless.has(reason))) return []
    const what =
      expected === undefined
        ? `a good record of ${topic} became a dead letter`
        : `a record of ${topic} that is ${expected} became a dead letter`
    return [
      {
        promise: 'bad records become dead letters with their reason, good ones never',
        what: `${what}: ${reason}, ${detail}`,
        sequenceId: null,
      },
    ]
  })
  if (history.final === null) return letters
  const there = new Set(history.deadLetters.flatMap(named))
  return [
    ...letters,
    ...history.poison
      .filter((poison) => !named(poison).some((name) => there.has(name)))
      .map(({ topic, reason }) => ({
        promise: 'bad records become dead letters with their reason, good ones never',
        what: `a record of ${topic} that is ${reason} became no dead letter`,
        sequenceId: null,
      })),
  ]
}

/** At the end nothing is missing: every send started and ended, every command was published and answered, every receipt recorded. */
function complete({ history, walks, messages }: Known): Breach[] {
  const breaches: Breach[] = []
  for (const { sequenceId } of history.accepted) {
    const walked = walks.get(sequenceId)
    if (walked === undefined) breaches.push({ promise: 'no accepted send is lost', what: 'accepted and never started', sequenceId })
    else if (walked.ended === null)
      breaches.push({ promise: 'every sequence ends', what: `still in step ${walked.steps.length}`, sequenceId })
  }
  const published = new Set(history.commands.flatMap(({ value }) => (value.action === 'send' ? [value.messageId] : [])))
  for (const { messageId, sequenceId, kinds } of messages.values()) {
    if (!published.has(messageId))
      breaches.push({ promise: 'no command is lost', what: `${messageId} was commanded and never published`, sequenceId })
    if (!kinds.some((kind) => (answers as readonly string[]).includes(kind)))
      breaches.push({ promise: 'no command is lost', what: `${messageId} was never answered`, sequenceId })
  }
  for (const { messageId, kind, sentAt } of history.receipts) {
    const message = messages.get(messageId)
    if (message === undefined || message.commandedAt >= sentAt || message.kinds.includes(kind)) continue
    breaches.push({
      promise: 'no receipt is lost',
      what: `${kind} of ${messageId} was acknowledged and never recorded`,
      sequenceId: message.sequenceId,
    })
  }
  const taken = new Set(history.arrivals.flatMap(({ messageId, answer }) => (isTaken(answer) ? [messageId] : [])))
  const listed = new Set((history.unknown ?? []).map(({ messageId }) => messageId))
  // What people's phones report says nothing of what a dispatcher did.
  const reported = new Set(history.receipts.map(({ messageId, kind }) => `${messageId} ${kind}`))
  for (const { messageId, sequenceId, channelType, kinds } of messages.values()) {
    if (
      isPaid(channelType) &&
      kinds.includes('unknown') &&
      !kinds.includes('requested') &&
      !listed.has(messageId) &&
      !reported.has(`${messageId} unknown`)
    ) {
      breaches.push({ promise: 'what is possibly sent is listed as unknown', what: `${messageId} is unknown, and not listed`, sequenceId })
    }
    if (reported.has(`${messageId} requested`)) continue
    if (channelType !== 'in_app' && kinds.includes('requested') && !taken.has(messageId)) {
      breaches.push({ promise: 'what is reported as sent was sent', what: `${messageId} is requested, and never arrived`, sequenceId })
    }
  }
  const { timers } = history.final!
  if (timers > 0) breaches.push({ promise: 'a finished sequence has no timer', what: `${timers} timers are left`, sequenceId: null })
  return breaches
}

/** The numbers are a fold of the log, and conserve. */
function counted({ history, log }: Known): Breach[] {
  const promise = 'the metrics are a fold of the log'
  const expected = numbersOf(log.changes)
  return [...history.final!.numbers].flatMap(([template, told]) =>
    differences(told, expected.get(template)).map((what) => ({ promise, what: `${template}: ${what}`, sequenceId: null })),
  )
}
