// The steps of a template as a sequence runs them: windows in milliseconds, a broadcast as one terminal step.
import type { LateSignal, OnFailure, SequenceStep } from '@stepcast/contracts'
import type { TemplateChannel, TemplateConfig } from './template'

/**
 * The steps a sequence of this template takes.
 * @param minuteMs length of a "minute", milliseconds: 60,000 but in tests and demos
 */
export function stepsOf(config: TemplateConfig, channels: readonly TemplateChannel[], minuteMs: number): SequenceStep[] {
  if (!config.sequenceEnabled) return [{ channels: channels.map((channel) => channel.channelType), stopCondition: null, windowMs: null }]
  return config.sequence.steps.map((step) => ({
    channels: step.channels,
    stopCondition: step.stopCondition,
    windowMs: step.waitMinutes === null ? null : step.waitMinutes * minuteMs,
  }))
}

/** The rules of a sequence besides its steps; a broadcast has the defaults. */
export function sequenceRulesOf(config: TemplateConfig): { onFailure: OnFailure; lateSignal: LateSignal; dispatchTtlMinutes: number } {
  const { onFailure, lateSignal, dispatchTtlMinutes } = config.sequence ?? sequenceDefaults
  return { onFailure, lateSignal, dispatchTtlMinutes }
}

/** What a sequence does where its template does not say. */
export const sequenceDefaults = { onFailure: 'advance', lateSignal: 'stop', dispatchTtlMinutes: 60 } as const
