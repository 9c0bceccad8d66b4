// What browsers are told of everything that we answer.

/** A Content-Security-Policy: nothing is loaded or run but what is named, and no page of another site frames ours or is sent forms of ours. */
export const contentPolicy = (...allowed: string[]): string =>
  ["default-src 'none'", ...allowed, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"].join('; ')
