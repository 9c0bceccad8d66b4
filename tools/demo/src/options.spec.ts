// What the demo may be asked for.
import { optionsOf } from './options'

const devEnv = {
  STEPCAST_URL: 'http://localhost:8080/',
  STEPCAST_SANDBOX_URL: 'http://localhost:8091',
  STEPCAST_WORKSPACE_ID: 'demo',
  STEPCAST_API_KEY: 'sk_1',
  STEPCAST_SIGNING_KID: 'demo.1',
  STEPCAST_SIGNING_SECRET: 's',
  KAFKA_BROKERS: 'localhost:9092',
  SCHEMA_REGISTRY_URL: 'http://localhost:8085/apis/ccompat/v7',
}

it('by default it starts a system of its own, with short minutes', () => {
  expect(optionsOf([], {})).toMatchObject({ seed: 1, minuteMs: 2_500, running: null, kill: null })
  expect(optionsOf(['--seed', '7', '--kill', 'orchestrator'], {})).toMatchObject({ seed: 7, kill: 'orchestrator' })
  expect(optionsOf(['--help'], {})).toBeNull()
})

it('with dev.env it uses the system there, whose minutes are real unless told', () => {
  expect(optionsOf([], devEnv)).toMatchObject({ minuteMs: 60_000, running: { url: 'http://localhost:8080', workspaceId: 'demo' } })
  expect(optionsOf([], { ...devEnv, STEPCAST_MINUTE_MS: '1000' })).toMatchObject({ minuteMs: 1_000 })
})

it.each([
  [['--sed', '1'], {}, /Unknown argument --sed/],
  [['--seed'], {}, /--seed needs a value/],
  [['--seed', 'x'], {}, /--seed is x: it must be a whole number/],
  [['--kill', 'orchestrator'], devEnv, /--kill is for the demo's own system/],
  [[], { ...devEnv, KAFKA_BROKERS: '' }, /not KAFKA_BROKERS: source the dev\.env/],
])('refuses %j', (args, env, words) => {
  expect(() => optionsOf(args, env)).toThrow(words)
})
