// What this library needs of a log, and how the Kafka client's own words reach it.
import { logLevel, type LogEntry } from 'kafkajs'

/** A structured log; pino fits. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Says nothing. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

// What a starting or rebalancing cluster says all the time and a person need not read; the client retries these by itself.
const routine =
  /coordinator is loading|not the coordinator|rebalanc|Group is rebalancing|no leader|hosts this topic-partition|Connection timeout|Connection error|Failed to connect to seed broker|unknown member|not aware of this member/i

/** Routes the client's log lines: routine ones to debug, the rest at their level. */
export const clientLogCreator =
  (log: Log) =>
  () =>
  ({ namespace, level, log: { message, logger: _logger, timestamp: _at, ...fields } }: LogEntry): void => {
    const line = `kafka ${namespace}: ${message}`
    const { stack: _stack, ...short } = fields as Record<string, unknown>
    if (level >= logLevel.INFO || routine.test(`${message} ${String(short.error ?? '')}`)) log.debug(short, line)
    else if (level === logLevel.WARN) log.warn(short, line)
    else log.error(short, line)
  }
