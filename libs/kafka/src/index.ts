// Kafka and the schema registry for services; the only importer of the Kafka client.
export { kafkaConfigFromEnv, registryConfigFromEnv, ConfigError, type KafkaConfig, type RegistryConfig } from './config'
export { KafkaConnection, type ConnectionOptions, type PartitionOffsets } from './connection'
export { RecordProducer, newTraceparent, chunksOf, type OutgoingRecord, type RawRecord } from './produce'
export { consumeRecords, decodeAll, type BatchContext, type ConsumeOptions, type IncomingRecord, type RunningConsumer } from './consume'
export { writeDeadLetters, type DeadLetter, type RawIncoming } from './deadLetter'
export { Registry, RegistryUnavailable } from './registry'
export { setUpCluster, type SetUpOptions } from './setUp'
export { silentLog, type Log } from './log'
