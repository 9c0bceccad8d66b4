import { commonHeaders } from './headers'

it('records say what they are, who sent them and when', () => {
  jest.useFakeTimers({ now: Date.parse('2026-01-02T03:04:05.006Z') })
  expect(commonHeaders('SequenceChanged', 'orchestrator')).toEqual({
    ce_specversion: '1.0',
    ce_type: 'stepcast.v1.SequenceChanged',
    ce_source: '/orchestrator',
    ce_time: '2026-01-02T03:04:05.006Z',
    'content-type': 'application/avro',
    ce_dataschema: expect.stringMatching(/^urn:stepcast:SequenceChanged:[0-9a-f]{16}$/),
  })
  jest.useRealTimers()
})
