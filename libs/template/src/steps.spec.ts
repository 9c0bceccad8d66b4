// Steps of a sequence and of a broadcast, and the event of an approval read back.
import { sequenceRulesOf, stepsOf } from './steps'
import { templateApproved, templateVersionOf, type TemplateDefinition } from './template'

const channels: TemplateDefinition['channels'] = [
  { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } },
  { channelType: 'sms', content: { body: 'b', trackLinks: true } },
]
const sequenced: TemplateDefinition['config'] = {
  sequenceEnabled: true,
  sequence: {
    steps: [
      { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 5 },
      { channels: ['sms'], stopCondition: null, waitMinutes: null },
    ],
    onFailure: 'wait',
    lateSignal: 'ignore',
    dispatchTtlMinutes: 10,
  },
}

it('a window is its minutes times the length of a minute; the last step has none', () => {
  expect(stepsOf(sequenced, channels, 60_000)).toEqual([
    { channels: ['in_app'], stopCondition: 'viewed', windowMs: 300_000 },
    { channels: ['sms'], stopCondition: null, windowMs: null },
  ])
  expect(sequenceRulesOf(sequenced)).toEqual({ onFailure: 'wait', lateSignal: 'ignore', dispatchTtlMinutes: 10 })
})

it('a broadcast is one terminal step with all channels', () => {
  expect(stepsOf({ sequenceEnabled: false, sequence: null }, channels, 60_000)).toEqual([
    { channels: ['in_app', 'sms'], stopCondition: null, windowMs: null },
  ])
  expect(sequenceRulesOf({ sequenceEnabled: false, sequence: null })).toEqual({
    onFailure: 'advance',
    lateSignal: 'stop',
    dispatchTtlMinutes: 60,
  })
})

it('an approval written as an event reads back the same', () => {
  const definition: TemplateDefinition = { name: 'n', category: 'Alerts', variableSchema: [], channels, config: sequenced }
  expect(templateVersionOf('w', 't', templateApproved(3, definition), false)).toEqual({
    workspaceId: 'w',
    templateId: 't',
    version: 3,
    archived: false,
    ...definition,
  })
})
