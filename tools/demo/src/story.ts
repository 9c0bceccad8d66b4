// The story of a sequence as `GET /v1/sequences/{id}` tells it, read for how it went.
import type { Api } from './api'
import type { Course } from './ledger'
import type { Outcome, StepNumbers } from './numbers'

/** The part of the story that the demo reads. */
export interface Story {
  readonly state: 'running' | 'ended'
  readonly outcome: Outcome | null
  readonly history: readonly {
    readonly type: string
    readonly recordedAt: string
    readonly why: string
    readonly step?: number | null
    readonly kind?: string
    readonly reason?: string | null
  }[]
}

/** Asks for a sequence's story. */
export const readStory = (api: Api, sequenceId: string, signal: AbortSignal): Promise<Story> =>
  api.call('GET', `/v1/sequences/${sequenceId}`, { signal })

const answers = ['requested', 'failed', 'skipped', 'unknown']

/** How the two steps went; null while the sequence runs. */
export function courseIn({ outcome, history }: Story): Course | null {
  if (outcome === null) return null
  const endOf = (step: number): keyof StepNumbers | null =>
    (history.find((event) => event.type === 'StepEnded' && event.step === step)?.reason as keyof StepNumbers | undefined) ?? null
  return {
    outcome, first: endOf(1)!, second: endOf(2), regretted: history.some(({ type }) => type === 'EscalationRegretted'),
    push: new Set(history.flatMap(({ type, step, kind = '' }) =>
      type === 'EngagementRecorded' && step === 2 && answers.includes(kind) ? [kind] : [])),
  }
}

/** The story for a person: when, what and why, a line per event. */
export function storyLines({ history }: Story): string[] {
  const begin = Date.parse(history[0]?.recordedAt ?? '')
  return history.map(({ recordedAt, type, why }) => {
    const seconds = ((Date.parse(recordedAt) - begin) / 1000).toFixed(1)
    return `${seconds.padStart(6)} s  ${type.padEnd(19)} ${why}`
  })
}
