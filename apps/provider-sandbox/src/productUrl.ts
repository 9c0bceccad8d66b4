// Where the product is reached from outside.
import type { Env } from '@stepcast/service'

/** STEPCAST_PUBLIC_URL without a slash at its end; the local gateway unless given. */
export const productUrlOf = (env: Env): string => (env.STEPCAST_PUBLIC_URL || 'http://localhost:8080').replace(/\/+$/, '')
