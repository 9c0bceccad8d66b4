// Who follows a tracked link: a person, or a program that looks ahead. Only a person's visit is a click.
import { isbot } from 'isbot'

/** What of a request tells them apart. */
export interface VisitRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

// Sec-Purpose: https://wicg.github.io/nav-speculation; Purpose: older Chrome and Safari; X-Moz: older Firefox; X-Purpose: older Safari.
const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz']

/**
 * Whether a visit is a person's. Not: HEAD, prefetches and previews that say so, user agents known to `isbot` (link previews of
 * messengers, crawlers, HTTP libraries), and those without a user agent. A scanner that claims to be a browser is taken for a person.
 */
export function isClick({ method, headers }: VisitRequest): boolean {
  const text = (name: string): string => String(headers[name] ?? '')
  if (method !== 'GET' || purposes.some((name) => /prefetch|prerender|preview/i.test(text(name)))) return false
  const userAgent = text('user-agent')
  return userAgent !== '' && !isbot(userAgent)
}
