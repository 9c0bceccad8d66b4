// Takes changes as the log holds them: times, texts and numbers are brought into what the tables take, and the counts stay right.
import { earliestInstant, isSequenceId, latestInstant, type SequenceChanged } from '@stepcast/contracts'

// Ids have at most 128 characters, templates 999 steps, our channels 6 letters; beyond these bounds nothing of ours was ever written.
const maxIdUnits = 256
const maxSteps = 999
const maxTextUnits = 64

/** Why a change cannot be counted, whatever is done to it; null: it can. Everything else about it is taken. */
export function changeProblem({ sequenceId, workspaceId, templateId, sendId, campaignId }: SequenceChanged): string | null {
  if (!isSequenceId(sequenceId)) return 'sequenceId must be a lower-case UUIDv5'
  const isTooLong =
    workspaceId.length > maxIdUnits ||
    templateId.length > maxIdUnits ||
    sendId.length > maxIdUnits ||
    (campaignId !== null && campaignId.length > maxIdUnits)
  return isTooLong ? 'workspaceId, templateId, sendId and campaignId have at most 128 characters' : null
}

/** A moment within 1970 … 2199, milliseconds: the nearest one to what was recorded. */
export const instantOf = (ms: number): number => Math.min(Math.max(ms, earliestInstant), latestInstant - 1)

/** A text as a database takes it: the character NUL becomes U+FFFD. */
export const textOf = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text)

/** A free text that is kept beside an id: cut where it is longer than any of ours. */
export const shortTextOf = (text: string): string => textOf(text.length > maxTextUnits ? text.slice(0, maxTextUnits).toWellFormed() : text)

/** Whether a step can be counted; any other number was never one of a template's. */
export const isStep = (step: number): boolean => step >= 1 && step <= maxSteps

const plain = /^\w{1,64}$/

/** A channel's name as states and counters spell it: letters, digits and underscores. */
export const channelOf = (channelType: string): string =>
  plain.test(channelType) ? channelType : channelType.slice(0, maxTextUnits).replace(/\W/gu, '_') || '_'
