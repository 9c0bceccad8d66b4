// The shortest story of a breach: what happened to one sequence, in order of time, twenty lines at most. Pure.
import type { SequenceChanged } from '@stepcast/contracts'
import type { Breach, History } from './history'
import type { FaultDone } from './result'

interface Line {
  readonly at: number
  readonly text: string
}

const linesAtMost = 20

/** The breach with the shortest story: the fewest changes say the most. */
export function shortest(breaches: readonly Breach[], history: History): Breach | undefined {
  const lengths = new Map<string, number>()
  for (const { value } of history.changes) lengths.set(value.sequenceId, (lengths.get(value.sequenceId) ?? 0) + 1)
  const lengthOf = ({ sequenceId }: Breach): number => (sequenceId === null ? Infinity : (lengths.get(sequenceId) ?? 0))
  // Something wrong tells more than something missing.
  return [...breaches].sort((a, b) => Number(lengthOf(a) === 0) - Number(lengthOf(b) === 0) || lengthOf(a) - lengthOf(b))[0]
}

/** Tells a breach. */
export function storyOf({ promise, what, sequenceId }: Breach, history: History, faults: readonly FaultDone[]): string[] {
  const head = [`broken: ${promise}`, `    ${what}`]
  if (sequenceId === null) return head
  const events = history.changes.filter(({ value }) => value.sequenceId === sequenceId)
  const seen = new Set<number>()
  const lines: Line[] = []
  for (const one of history.accepted)
    if (one.sequenceId === sequenceId)
      lines.push({ at: one.acceptedAt, text: `accepted: ${one.templateId} for ${one.userId} of send ${one.sendId}` })
  for (const { value, offset } of events) {
    const again = seen.has(value.version) ? ' AGAIN' : ''
    seen.add(value.version)
    const place = `version ${value.version}, position ${value.logPartition}/${value.logPosition}, offset ${offset}`
    lines.push({ at: value.recordedAt, text: `recorded${again}: ${value.events.map(eventText).join(', ')}  (${place})` })
  }
  for (const { value, offset } of history.commands) {
    if (value.sequenceId === sequenceId)
      lines.push({ at: value.commandedAt, text: `command: ${value.action} ${value.step}.${value.channelType}  (offset ${offset})` })
  }
  for (const { messageId, answer, to, at } of history.arrivals)
    if (messageId?.startsWith(sequenceId))
      lines.push({ at: Date.parse(at), text: `arrived: ${messageId.slice(37)} at ${to}, answered ${answer}` })
  for (const { messageId, kind, ackedAt, isKeyed } of history.receipts) {
    if (messageId.startsWith(sequenceId))
      lines.push({ at: ackedAt, text: `receipt: ${kind} of ${messageId.slice(37)} on Kafka${isKeyed ? '' : ', in another partition'}` })
  }
  for (const { scope, id, answeredAt } of history.cancels)
    if (id === sequenceId || id === events[0]?.value.sendId) lines.push({ at: answeredAt, text: `cancel of the ${scope} answered` })
  const sorted = lines.sort((a, b) => a.at - b.at)
  const [from, to] = [sorted[0]?.at ?? 0, sorted.at(-1)?.at ?? 0]
  const near = faults
    .filter(({ at }) => at > from - 5_000 && at < to + 15_000)
    .map(({ at, kind, victim }): Line => ({ at, text: `FAULT: ${kind} (${victim})` }))
  const all = [...sorted, ...near].sort((a, b) => a.at - b.at)
  const shown = all.length <= linesAtMost ? all : [...all.slice(0, 6), ...all.slice(-(linesAtMost - 7))]
  return [
    ...head,
    `    sequence ${sequenceId}`,
    ...shown.map(({ at, text }) => `    ${new Date(at).toISOString().slice(11, 23)}  ${text}`),
    ...(all.length > shown.length ? [`    (${all.length - shown.length} lines left out)`] : []),
  ]
}

function eventText(event: SequenceChanged['events'][number]): string {
  switch (event.type) {
    case 'SequenceStarted':
      return 'started'
    case 'StepCommanded':
      return `step ${event.step} commanded (${event.channels.join(', ')})`
    case 'StepDeferred':
      return `step ${event.step} deferred`
    case 'EngagementRecorded':
      return `${event.kind} of ${event.step}.${event.channelType}${event.reason === null ? '' : ` (${event.reason})`}`
    case 'StepEnded':
      return `step ${event.step} ended ${event.reason}${event.note === null ? '' : ` (${event.note})`}`
    case 'EscalationRegretted':
      return `step ${event.step} regretted`
    case 'SequenceEnded':
      return `ended ${event.outcome}`
  }
}
