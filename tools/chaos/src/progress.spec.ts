// What is in flight, as the run sees it while changes come again.
import type { SequenceChanged } from '@stepcast/contracts'
import { Progress } from './progress'

const change = (version: number, ...types: string[]): SequenceChanged =>
  ({ sequenceId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c', version, recordedAt: 1, events: types.map((type) => ({ type })) }) as never

it('a sequence is in flight from its start to its end', () => {
  const progress = new Progress(12)
  progress.onChange(change(1, 'SequenceStarted'))
  expect(progress.running).toBe(1)
  progress.onChange(change(2, 'SequenceEnded'))
  expect(progress.running).toBe(0)
})

it('one that has ended stays so when its start is delivered again', () => {
  const progress = new Progress(12)
  for (const one of [change(1, 'SequenceStarted'), change(2, 'SequenceEnded'), change(1, 'SequenceStarted')]) progress.onChange(one)
  expect(progress.running).toBe(0)
})
