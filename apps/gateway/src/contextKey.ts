// Injection token of the key with which callers' contexts are signed.
export const ContextKey = Symbol('context key')
