// Afterwards: in every partition, for both workspaces, a timer fires, a receipt counts, cancels work by both ways, and the numbers move.
import { messageIdOf, partitionOf, sequenceIdOf } from '@stepcast/contracts'
import type { Stage, Story } from './stories'
import { approve, type TemplateName } from './templates'

interface Probe {
  readonly name: string
  readonly templateId: TemplateName
  readonly expected: RegExp
  readonly play: (stage: Stage, story: Story, partition: number) => Promise<void>
}

const probes: readonly Probe[] = [
  // The step after the window goes by push: whether it can be sent is a matter of accounts, which the workspace under attack may have lost.
  { name: 'timer', templateId: 'probe', expected: /^1 waitElapsed, 2 (completed|failed|skipped), exhausted$/, play: async () => undefined },
  {
    name: 'receipt',
    templateId: 'probe-patient',
    expected: /^1 stopped, stopped$/,
    play: async (stage, story) => {
      await stage.requested(story)
      await stage.report(messageIdOf(story.sequenceId, 1, 'in_app'), 'viewed')
    },
  },
  {
    name: 'cancel',
    templateId: 'probe-patient',
    expected: /^1 cancelled, cancelled$/,
    play: async (stage, story) => {
      await stage.requested(story)
      await stage.of.api.call('POST', `/v1/sequences/${story.sequenceId}/cancel`)
    },
  },
  {
    name: 'cancel over Kafka',
    templateId: 'probe-patient',
    expected: /^1 cancelled, cancelled$/,
    play: async (stage, story, partition) => {
      await stage.requested(story)
      await stage.cancelOverKafka(story, partition)
    },
  },
]

/** Makes new templates, tries everything in every partition. @returns what did not work, as `cancel in partition 2: …` */
export async function probe(stage: Stage): Promise<string[]> {
  const { workspaceId, api, partitions } = stage.of
  const failed =
    (what: string) =>
    (error: Error): string[] => [`${workspaceId}: ${what}: ${error.message}`]
  // Whatever was forged about it, this is what it is.
  const ready = await Promise.all([
    api.call('PUT', '/v1/workspace', { body: { name: `${workspaceId} afterwards` }, patienceMs: 20_000 }),
    approve(api, 'probe'),
    approve(api, 'probe-patient'),
  ]).then(
    () => null,
    (error: Error) => error,
  )
  if (ready !== null) return failed('its templates')(ready)
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const failures = (
    await Promise.all(
      all.flatMap((partition) =>
        probes.map((one) => tried(stage, one, partition).then(() => [], failed(`${one.name} in partition ${partition}`))),
      ),
    )
  ).flat()
  return [
    ...failures,
    ...(
      await Promise.all(
        (['probe', 'probe-patient'] as const).map((name) => counted(stage, name).then(() => [], failed(`numbers of ${name}`))),
      )
    ).flat(),
  ]
}

/** A send of the probe whose home is this partition. */
function storyAt(stage: Stage, { name, templateId }: Probe, partition: number): Story {
  const { workspaceId, partitions } = stage.of
  for (let n = 0; ; n++) {
    const story = stage.story(name, templateId, `probe-${name.replaceAll(' ', '-')}-${partition}-${n}`, 'kafka', '')
    if (partitionOf(sequenceIdOf(workspaceId, story.sendId, story.userId), partitions) === partition) return story
  }
}

async function tried(stage: Stage, one: Probe, partition: number): Promise<void> {
  const story = storyAt(stage, one, partition)
  await stage.register(story)
  await stage.send(story, 'kafka', story.userId)
  await one.play(stage, story, partition)
  const { history } = await stage.until(story, ({ state }) => state === 'ended')
  const went = history
    .flatMap(({ type, step, reason, outcome }) =>
      type === 'StepEnded' ? [`${step} ${reason}`] : type === 'SequenceEnded' ? [outcome] : [],
    )
    .join(', ')
  if (!one.expected.test(went)) throw new Error(`it went ${went}`)
}

/** Every one of them is counted: they are spread over all partitions. */
async function counted(stage: Stage, templateId: TemplateName): Promise<void> {
  const expected = stage.of.partitions * probes.filter((one) => one.templateId === templateId).length
  let told = -1
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 500))) {
    told = (await stage.of.api.call<{ recipients: number }>('GET', `/v1/metrics/templates/${templateId}`)).recipients
    if (told === expected) return
  }
  throw new Error(`${told} recipients instead of ${expected}`)
}
