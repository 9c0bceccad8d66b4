// The third kind of failure: the code is wrong, so it stops here instead of deciding on nonsense.

/** An error that means a bug in the caller or a damaged log, never a fact of business or a state of the world. */
export const failure = (message: string): Error => new Error(`sequence: ${message}`)
