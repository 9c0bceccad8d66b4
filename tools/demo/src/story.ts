// The story of a sequence as `GET /v1/sequences/{id}` tells it, read for how it went.
import { CallFailed, pause, type Api } from './api'
import type { Course, StepCourse } from './ledger'
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
    readonly detail?: Readonly<Record<string, string>>
  }[]
}

/** Asks for a sequence's story. */
export const readStory = (api: Api, sequenceId: string, signal: AbortSignal): Promise<Story> =>
  api.call('GET', `/v1/sequences/${sequenceId}`, { signal })

// Some seventy people wait for the end of their sequence: at every second one would be heard on two cores.
const askAgainMs = 2_000

/** Asks until the story is as wanted; one that has not begun is waited for. */
export async function untilStory(api: Api, sequenceId: string, isWanted: (story: Story) => boolean, signal: AbortSignal): Promise<void> {
  for (;;) {
    const story = await readStory(api, sequenceId, signal).catch((error: Error) => {
      // A send that was just accepted may have no sequence yet.
      if (error instanceof CallFailed && error.status === 404) return null
      throw error
    })
    if (story !== null && isWanted(story)) return
    await pause(askAgainMs, signal)
  }
}

const answers = ['requested', 'failed', 'skipped', 'unknown']

/** How the steps went; null while the sequence runs. */
export function courseIn({ outcome, history }: Story): Course | null {
  if (outcome === null) return null
  const ends = history.filter(({ type }) => type === 'StepEnded')
  return {
    outcome,
    steps: ends.map(
      ({ step, reason }): StepCourse => ({
        end: reason as keyof StepNumbers,
        regretted: history.some((event) => event.type === 'EscalationRegretted' && event.step === step),
        answers: new Set(
          history.flatMap((event) =>
            event.type === 'EngagementRecorded' && event.step === step && answers.includes(event.kind!) ? [event.kind!] : [],
          ),
        ),
      }),
    ),
  }
}

/** Segments that the SMS of this story was sent in, as its dispatcher reported them; null: it told none. */
export function segmentsIn({ history }: Story): number | null {
  const requested = history.find(({ kind, step }) => kind === 'requested' && step === 3)
  const segments = Number(requested?.detail?.['segments'])
  return Number.isInteger(segments) && segments > 0 ? segments : null
}

/** The story for a person: when, what and why, a line per event. */
export function storyLines({ history }: Story): string[] {
  const begin = Date.parse(history[0]?.recordedAt ?? '')
  return history.map(({ recordedAt, type, why }) => {
    const seconds = ((Date.parse(recordedAt) - begin) / 1000).toFixed(1)
    return `${seconds.padStart(6)} s  ${type.padEnd(19)} ${why}`
  })
}
