// This machine's own names.

const names = new Set(['localhost', '127.0.0.1', '::1', '[::1]'])

/** Whether a host name, without a port, means the machine that uses it. */
export const isLoopback = (host: string): boolean => names.has(host.toLowerCase())
