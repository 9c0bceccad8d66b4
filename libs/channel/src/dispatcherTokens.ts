// Injection tokens of a dispatcher's parts that have no class of their own.

/** The connection pool on the dispatcher's schema. */
export const POOL = Symbol('pool')
/** The dispatcher's {@link DispatcherConfig}, with whatever its app has added. */
export const CONFIG = Symbol('config')
