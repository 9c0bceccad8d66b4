// Rules of the connections: together below PostgreSQL's default, changed by variables, and every pool of every service is among them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connections, connectionsInAll, databaseServices, poolSizeOf, poolVariableOf } from './connections'

const checkout = join(__dirname, '..', '..', '..')

it('leaves ten of the 97 connections of a PostgreSQL with its defaults, with one process of each service', () => {
  expect(connectionsInAll({})).toBe(87)
})

it('counts processes and variables', () => {
  expect(connectionsInAll({}, { orchestrator: 2 })).toBe(87 + 15)
  expect(connectionsInAll({ STEPCAST_POOL_ORCHESTRATOR: '20', STEPCAST_POOL_SEND_SVC: '4' })).toBe(87 + 8 - 4)
  expect(connectionsInAll({}, {}, ['gateway', 'provider-sandbox'])).toBe(8)
})

it('names the variable of each service', () => {
  expect(databaseServices.map(poolVariableOf)).toEqual([
    'STEPCAST_POOL_GATEWAY',
    'STEPCAST_POOL_TEMPLATE_SVC',
    'STEPCAST_POOL_PEOPLE_SVC',
    'STEPCAST_POOL_SEND_SVC',
    'STEPCAST_POOL_ORCHESTRATOR',
    'STEPCAST_POOL_INAPP_DISPATCHER',
    'STEPCAST_POOL_PUSH_DISPATCHER',
    'STEPCAST_POOL_SMS_DISPATCHER',
    'STEPCAST_POOL_MESSENGER_DISPATCHER',
    'STEPCAST_POOL_METRICS_SVC',
  ])
  expect(poolSizeOf({ STEPCAST_POOL_GATEWAY: ' ' }, 'gateway')).toBe(connections.gateway.pool)
  expect(() => poolSizeOf({ STEPCAST_POOL_GATEWAY: 'many' }, 'gateway')).toThrow('STEPCAST_POOL_GATEWAY is "many"')
  expect(() => poolSizeOf({ STEPCAST_POOL_GATEWAY: '1' }, 'gateway')).toThrow('from 2 to 1000')
})

// Whoever opens another connection in a service adds it to the table above.
const openings = /\bcreatePool\(|\bnew Client\(\{ connectionString|\bcreateDataSource\(/g
const expected: Readonly<Record<string, number>> = {
  'apps/gateway/src/app.module.ts': 1,
  'apps/inapp-dispatcher/src/app.module.ts': 1,
  'apps/inapp-dispatcher/src/stream.ts': 1,
  'apps/metrics-svc/src/app.module.ts': 2,
  // A command of its own, which takes what is free.
  'apps/metrics-svc/src/recount.ts': 2,
  'apps/orchestrator/src/app.module.ts': 2,
  'apps/people-svc/src/app.module.ts': 1,
  'apps/send-svc/src/app.module.ts': 1,
  'apps/template-svc/src/app.module.ts': 1,
  'libs/channel/src/dispatcher.ts': 1,
}

it('knows every place where a service opens connections', () => {
  const files = ['apps', 'libs']
    .flatMap((group) => readdirSync(join(checkout, group)).map((name) => `${group}/${name}`))
    .filter((folder) => folder !== 'libs/postgres' && existsSync(join(checkout, folder, 'src')))
    .flatMap((folder) =>
      readdirSync(join(checkout, folder, 'src'), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/src/${name}`),
    )
    .filter((file) => /(?<!\.spec|\.features|\.fixtures|\.d)\.ts$/.test(file))
  const found = Object.fromEntries(
    files.flatMap((file) => {
      const count = readFileSync(join(checkout, file), 'utf8').match(openings)?.length ?? 0
      return count === 0 ? [] : [[file, count]]
    }),
  )
  expect(found).toEqual(expected)
})
