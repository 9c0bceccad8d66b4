// Where the product is: its public address, which is what it signs with and what people see, and the way there from here.
import type { Env } from '@stepcast/service'
import { isLoopback } from './loopback'

/** STEPCAST_PUBLIC_URL without a slash at its end; the local gateway unless given. */
export const productUrlOf = (env: Env): string => (env.STEPCAST_PUBLIC_URL || 'http://localhost:8080').replace(/\/+$/, '')

/**
 * SANDBOX_PRODUCT_URL: where this process reaches what STEPCAST_PUBLIC_URL names, as in a container, whose localhost is another; the public
 * address unless given.
 */
export const wayToProduct = (env: Env): string => (env.SANDBOX_PRODUCT_URL || productUrlOf(env)).replace(/\/+$/, '')

/**
 * Whether a provider may be told to call an address back: the product's own, or one of this machine (a spec, a product that was started
 * beside it). Anything else would make the sandbox somebody's way to call other servers.
 */
export function mayBeCalledBack(url: string, productUrl: string): boolean {
  if (!URL.canParse(url)) return false
  const { origin, protocol, hostname } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:') return false
  return origin === new URL(productUrl).origin || isLoopback(hostname)
}
