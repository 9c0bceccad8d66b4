// Injection tokens of what the composition root makes.

/** The pool on the orchestrator's schema. */
export const POOL = Symbol('pool')
/** The few connections that stories and lists are read by, with a time limit. */
export const READS = Symbol('reads')
/** What a cancel needs. */
export const CANCELS = Symbol('cancels')
/** Everything that runs in the background. */
export const BACKGROUND = Symbol('background')
