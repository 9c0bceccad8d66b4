// Injection tokens of this app's parts that have no class.

/** The connection pool on the schema `push_dispatcher`. */
export const POOL = Symbol('pool')
