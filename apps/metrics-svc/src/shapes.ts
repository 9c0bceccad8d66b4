// The published JSON of metrics, as schemas that documents and types come from.
import { z } from 'zod'
import { engagementKinds, outcomes, stepEndReasons } from './state'

const count = z.int().min(0)
const countsOf = <Name extends string>(names: readonly Name[]): z.ZodObject<Record<Name, typeof count>> =>
  z.object(Object.fromEntries(names.map((name) => [name, count])) as Record<Name, typeof count>)
const moment = z.string().describe('RFC 3339, UTC')
const noPrices = z.null().describe('null until prices exist')

/** Sequences started, and how they stand. */
export const totals = z.object({
  recipients: count.describe('Sequences started: the sum of the outcomes'),
  outcomes: countsOf(outcomes),
})
export type Totals = z.infer<typeof totals>

/** One channel's numbers: messages for which a fact was reported at least once. */
export const channelNumbers = z.object({
  channelType: z.string(),
  ...countsOf(engagementKinds).shape,
  viewed: count.nullable().describe('null where the channel has none'),
  cost: noPrices,
  inferred: z
    .object({ delivered: count, viewed: count.nullable() })
    .describe('Messages engaged with more strongly while this was never reported itself: clicked implies viewed implies delivered'),
})
export type ChannelNumbers = z.infer<typeof channelNumbers>

/** One step's numbers. */
export const stepNumbers = z.object({
  step: z.int().min(1),
  stopCondition: z.string().nullable(),
  waitMinutes: z.number().nullable(),
  entered: count.describe('The sum of running and the eight ways a step ends'),
  running: count,
  ...countsOf(stepEndReasons).shape,
  regretted: count.describe('Its condition came in after a later step was sent'),
  channels: z.array(channelNumbers),
})
export type StepNumbers = z.infer<typeof stepNumbers>

/** Numbers of one template, send or campaign. */
export const numbers = z.object({
  templateId: z.string(),
  version: z.int().nullable().describe('null: all versions, merged by position and labelled as the latest'),
  from: moment.nullable(),
  to: moment.nullable(),
  asOf: moment.describe('Every change recorded up to this moment and published by then is counted'),
  ...totals.shape,
  steps: z.array(stepNumbers),
  cost: noPrices,
})
export type Numbers = z.infer<typeof numbers>

/** A workspace's numbers: all templates together, then each. */
export const overview = z.object({
  from: moment.nullable(),
  to: moment.nullable(),
  asOf: moment,
  ...totals.shape,
  templates: z.array(z.object({ templateId: z.string(), ...totals.shape })).describe('Those with the most recipients, 100 at most'),
  cost: noPrices,
})
export type Overview = z.infer<typeof overview>

/** What is known of a send by its sequences alone; send-svc asks for it. */
export interface SendSummary extends Totals {
  readonly sendId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly source: string
  readonly requestedAt: string
}
