// Outage or the input's own fault: by what PostgreSQL, the broker, the network and our own code say.
import { errorClass, isOutage } from './outage'

const coded = (code: string, message = ''): Error => Object.assign(new Error(message), { code })

it.each(['08006', '08P01', '53300', '57P01', '57014', '58030', '40001', '40P01', '55P03', '25006', '42P01', '42501', '3D000', '28P01'])(
  'PostgreSQL %s is an outage',
  (code) => expect(isOutage(coded(code))).toBe(true),
)
it.each(['22021', '22P05', '22003', '22008', '23505', '23514', '54000', 'XX000', 'P0001'])("PostgreSQL %s is the input's", (code) =>
  expect(isOutage(coded(code))).toBe(false),
)
it.each(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND'])('%s is an outage', (code) =>
  expect(isOutage(coded(code))).toBe(true),
)

it('what the drivers say without a code', () => {
  for (const words of [
    'Connection terminated unexpectedly',
    'timeout exceeded when trying to connect',
    'Cannot use a pool after calling end on the pool',
  ]) {
    expect(isOutage(new Error(words))).toBe(true)
  }
})

it('retriable errors are outages, unless what they wrap speaks of the records', () => {
  expect(isOutage(Object.assign(new Error('broker away'), { retriable: true }))).toBe(true)
  const tooLarge = Object.assign(new Error('too large'), { type: 'MESSAGE_TOO_LARGE', retriable: false })
  expect(isOutage(Object.assign(new Error('Kafka did not take the records'), { retriable: true, cause: tooLarge }))).toBe(false)
  expect(
    isOutage(Object.assign(new Error('again'), { retriable: true, cause: Object.assign(new Error('gave up'), { cause: tooLarge }) })),
  ).toBe(false)
})

it('a row whose day has no table yet waits for it; a row that a CHECK refuses does not', () => {
  expect(isOutage(Object.assign(coded('23514', 'no partition of relation "changes" found for row'), { table: 'changes' }))).toBe(true)
  expect(isOutage(Object.assign(coded('23514'), { table: 'sends', constraint: 'sends_check' }))).toBe(false)
})

it("a bug is the input's: its neighbours go on", () => {
  expect([
    isOutage(new TypeError('x is undefined')),
    isOutage(new RangeError('Invalid time value')),
    isOutage('text'),
    isOutage(null),
  ]).toEqual([false, false, false, false])
})

it('a class never holds data', () => {
  expect([errorClass(coded('22021', 'invalid "secret"')), errorClass(new RangeError('secret')), errorClass('secret')]).toEqual([
    '22021',
    'RangeError',
    'Error',
  ])
})

it('what the Kafka client says is of the cluster, unless the broker speaks of the records', () => {
  const gaveUp = Object.assign(new Error('Connection error'), { name: 'KafkaJSNumberOfRetriesExceeded', retriable: false })
  const noRight = Object.assign(new Error('Not authorized'), {
    name: 'KafkaJSProtocolError',
    type: 'TOPIC_AUTHORIZATION_FAILED',
    retriable: false,
  })
  const tooLarge = Object.assign(new Error('too large'), { name: 'KafkaJSProtocolError', type: 'MESSAGE_TOO_LARGE', retriable: false })
  expect([isOutage(gaveUp), isOutage(noRight), isOutage(tooLarge)]).toEqual([true, true, false])
})
