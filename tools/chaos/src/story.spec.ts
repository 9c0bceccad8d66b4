// The story of a breach: the shortest there is, with everything that is known of its sequence, in order of time.
import type { SequenceChanged } from '@stepcast/contracts'
import type { Breach, History, Recorded } from './history'
import { shortest, storyOf } from './story'

const begin = Date.parse('2026-01-01T10:00:00Z')

const change = (sequenceId: string, version: number, at: number, offset: number): Recorded<SequenceChanged> => ({
  topic: 'log',
  partition: 0,
  offset,
  digest: `${sequenceId} ${version}`,
  value: {
    workspaceId: 'demo',
    sequenceId,
    version,
    logPartition: 0,
    logPosition: offset + 1,
    sendId: `send of ${sequenceId}`,
    userId: 'ada',
    templateId: 'feed-viewed',
    templateVersion: 1,
    campaignId: null,
    recordedAt: begin + at,
    events: [{ type: 'StepEnded', step: version, reason: 'waitElapsed', engagement: null, note: null }],
  },
})

const history = (changes: readonly Recorded<SequenceChanged>[]): History => ({
  asked: new Set(),
  accepted: [{ sequenceId: 'a', workspaceId: 'demo', sendId: 'send of a', userId: 'ada', templateId: 'feed-viewed', acceptedAt: begin }],
  receipts: [],
  cancels: [{ workspaceId: 'demo', scope: 'send', id: 'send of a', answeredAt: begin + 250 }],
  optOuts: [],
  poison: [],
  arrivals: [],
  sends: [],
  changes,
  commands: [],
  deadLetters: [],
  unknown: null,
  final: null,
})

const breach = (sequenceId: string | null): Breach => ({ promise: 'a promise', what: 'was broken', sequenceId })

describe('the story', () => {
  it('is that of the sequence with the fewest changes; what is missing altogether comes last', () => {
    const known = history([change('a', 1, 0, 0), change('a', 2, 1, 1), change('b', 1, 2, 2)])
    expect(shortest([breach(null), breach('missing'), breach('a'), breach('b')], known)).toEqual(breach('b'))
    expect(shortest([breach('missing')], known)).toEqual(breach('missing'))
  })

  it('tells what was asked, recorded and struck, in order of time', () => {
    const known = history([change('a', 1, 100, 0), change('b', 1, 150, 1), change('a', 1, 100, 2)])
    const fault = { kind: 'kill -9 broker', victim: 'kafka', at: begin + 50, inFlight: 9, recoveredAfterMs: null }
    expect(storyOf(breach('a'), known, [fault])).toEqual([
      'broken: a promise',
      '    was broken',
      '    sequence a',
      '    10:00:00.000  accepted: feed-viewed for ada of send send of a',
      '    10:00:00.050  FAULT: kill -9 broker (kafka)',
      '    10:00:00.100  recorded: step 1 ended waitElapsed  (version 1, position 0/1, offset 0)',
      '    10:00:00.100  recorded AGAIN: step 1 ended waitElapsed  (version 1, position 0/3, offset 2)',
      '    10:00:00.250  cancel of the send answered',
    ])
  })

  it('has twenty lines at most', () => {
    const known = history(Array.from({ length: 40 }, (_, index) => change('a', index + 1, index, index)))
    const story = storyOf(breach('a'), known, [])
    expect(story.slice(3, -1).length).toBeLessThanOrEqual(20)
    expect(story.at(-1)).toMatch(/\(\d+ lines left out\)/)
  })
})
