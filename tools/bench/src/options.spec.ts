// A mistyped flag must not start a run of minutes that measures something else.
import { optionsOf } from './options'

describe('the command line of the benchmark', () => {
  it('asks for nothing but Stepcast by default', () => {
    expect(optionsOf([])).toEqual({
      n: 90_000,
      processes: 1,
      mode: 'workload',
      pushN: 10_000,
      peakOnly: false,
      peers: [],
      peerN: null,
      fill: { timers: 1_000_000, events: 10_000_000 },
      cpuProfiles: null,
      json: false,
    })
  })

  it('runs every peer with --peers, and those named with --only, in one fixed order', () => {
    expect(optionsOf(['--peers'])!.peers).toEqual(['limit', 'naive', 'pg-boss', 'bullmq', 'dbos'])
    expect(optionsOf(['--only', 'dbos,naive'])!.peers).toEqual(['naive', 'dbos'])
  })

  it('has help', () => {
    expect(optionsOf(['--help'])).toBeNull()
  })

  it.each([
    [['--n', 'many'], /--n many: give a whole number from 1,000 to 2,000,000/],
    [['--n', '10'], /from 1,000/],
    [['--processes', '13'], /--processes 13: give a whole number from 1 to 12/],
    [['--only', 'naive,temporal'], /there is no peer "temporal"; there are limit, naive, pg-boss, bullmq, dbos/],
    [['--filled', '--peers'], /--filled is a run of its own, without peers/],
    [['--filled', '--backlog'], /give one of them/],
    [['--push', '--filled'], /give one of them/],
    [['--push', '--peers'], /--push is a run of its own, without peers/],
    [['--push-n', '2000'], /--push-n goes with --push/],
    [['--push', '--push-n', '10'], /--push-n 10: give a whole number from 1,000/],
    [['--events', '20000'], /--timers and --events go with --filled/],
  ])('answers %j with what is allowed', (args, words) => {
    expect(() => optionsOf(args)).toThrow(words)
  })

  it('answers an unknown flag with all that are known', () => {
    expect(() => optionsOf(['--pears'])).toThrow(/--pears[^]*--peers [^]*--only naive,dbos/)
  })
})
