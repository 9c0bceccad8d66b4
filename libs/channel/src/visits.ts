// Who follows a tracked link: a person, or a program that looks ahead. Only a person's visit is a click.
import { isbot } from 'isbot'

/** What of a request tells them apart. */
export interface VisitRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

// Sec-Purpose: https://wicg.github.io/nav-speculation; Purpose: older Chrome and Safari; X-Moz: older Firefox; X-Purpose: older Safari.
const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz']

// What Facebook's apps add to their browser's agent, or put in its place; isbot takes some of it for a program, depending on which fields
// are there. Whoever is cut off in the middle counts too.
const facebookApp = /\[FB[A-Z_]+\/[^\]]*(?:\]|$)/g
// The HTTP clients that iOS, Android and Flutter give an app: no browser, so nobody looks at what they fetch. isbot knows okhttp, Alamofire
// and Volley. An app's own browser may name one of them beside its engine, so who says Mozilla is a browser.
const appClient = /^(?!Mozilla\/).*\b(?:CFNetwork|Dalvik|okhttp|Cronet|Dart)\//is

/**
 * Whether a visit is a person's. Not: HEAD, prefetches and previews that say so, user agents known to `isbot` (link previews of
 * messengers, crawlers, HTTP libraries), apps' own HTTP clients (they fetch previews), and those without a user agent. A scanner that
 * claims to be a browser is taken for a person.
 */
export function isClick({ method, headers }: VisitRequest): boolean {
  const text = (name: string): string => String(headers[name] ?? '')
  if (method !== 'GET' || purposes.some((name) => /prefetch|prerender|preview/i.test(text(name)))) return false
  const userAgent = text('user-agent').trim()
  if (userAgent === '') return false
  // Where Facebook's fields are all there is, they are the browser's.
  const browser = userAgent.replace(facebookApp, '').trim()
  return browser === '' || !(isbot(browser) || appClient.test(browser))
}
