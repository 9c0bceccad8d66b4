// Names for what Nest injects and has no class of its own.

/** The service's pool. */
export const POOL = Symbol('pool')
