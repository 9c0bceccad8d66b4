// What crosses a process: records, topics, ids and the codec. The only home of these names in code.
export * from './generated/avro'
export * from './ids'
export * from './topics'
export * from './codec'
export * from './traceparent'
export * from './headers'
export * from './outage'
export * from './rules'
