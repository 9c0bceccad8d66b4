// Which methods a path knows: a known path with another method is a 405 that names them, and not a 404.
import type { INestApplicationContext } from '@nestjs/common'
import { match } from 'path-to-regexp'
import { routesOf, type Scope } from './scope'

/** What a path is known for. */
export interface KnownPath {
  /** For the header `Allow`. */
  readonly methods: readonly string[]
  /** Whoever has one of them may do something with the path; null: a route declares none. */
  readonly scopes: readonly Scope[]
}

/** Answers what a path is known for; null for one that is not known. Made once: routes do not change. */
export function knownPaths(app: INestApplicationContext): (path: string) => KnownPath | null {
  let routes: { matches: (path: string) => unknown; method: string; scopes: readonly Scope[] }[] | null = null
  return (path) => {
    routes ??= routesOf(app).map(({ path: pattern, method, scopes }) => ({
      matches: match(pattern, { sensitive: true }),
      method,
      scopes: scopes ?? [],
    }))
    const known = routes.filter(({ matches }) => fits(matches, path))
    if (known.length === 0) return null
    const methods = new Set(known.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))
    return { methods: [...methods].sort(), scopes: [...new Set(known.flatMap(({ scopes }) => scopes))] }
  }
}

function fits(matches: (path: string) => unknown, path: string): boolean {
  try {
    return matches(path) !== false
  } catch {
    // Not percent-encoded as it should be.
    return false
  }
}
