// Errors of the client as the rest of the code reads them.

/** For `catch`: the client's own `retriable` speaks of one request; that Kafka is out of reach is always worth another try later. */
export const asRetriable =
  (what: string) =>
  (cause: Error): never => {
    throw Object.assign(new Error(`${what}: ${cause.message}`), { retriable: true, cause })
  }
