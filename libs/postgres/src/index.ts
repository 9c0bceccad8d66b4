// PostgreSQL for services: pool, transaction, migrations, outbox.
export { ints, nullable, texts, uuids } from './arrays'
export { databaseUrlFromEnv, type DatabaseEnv } from './databaseUrl'
export { createPool, inTransaction, type PoolOptions, type Queryable } from './pool'
export { withPatience } from './patience'
export { connections, connectionsInAll, databaseServices, poolSizeOf, poolVariableOf, type DatabaseService } from './connections'
export { checkDatabase, databaseIsMissing, type DatabasePreflight } from './preflight'
export { connectionProblem, connectTo, DatabaseOutOfReach, placeOf, refusePooler } from './reach'
export { createDataSource, migrate, type DataSourceSettings, type Migration } from './migrate'
export {
  enqueue,
  enqueueTogether,
  outboxTableSql,
  OutboxRelay,
  type Executor,
  type OutboxProducer,
  type OutboxRecord,
  type OutboxRelayOptions,
  type Unpublishable,
} from './outbox'
