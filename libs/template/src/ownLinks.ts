// Tracked links of this installation where a template's author or a value brings one: each belongs to one person's message.
import { withoutVariables } from './placeholders'

/** Whether a text holds an address of tracked links, however it is spelled; `publicUrl` is where people reach the gateway. */
export function holdsTrackedLink(text: string, publicUrl: string): boolean {
  // Unless one of these stands in it, it does not: most texts have no `/l`.
  if (!/[/\\]|%2f|%5c/i.test(text)) return false
  const plain = decoded(withoutVariables(text, 'x')).toLowerCase()
  const { hostname, port, pathname } = new URL(publicUrl)
  const base = pathname.replace(/\/+$/, '')
  return bareLink(hostname, port, base).test(plain) || addressesIn(plain).some((url) => leadsToLinks(url, { hostname, port, base }))
}

interface Place {
  readonly hostname: string
  readonly port: string
  readonly base: string
}

function leadsToLinks(address: string, place: Place): boolean {
  if (!URL.canParse(address)) return false
  const { hostname, port, pathname } = new URL(address)
  const path = pathname.replace(/\/{2,}/g, '/')
  return hostname.replace(/\.$/, '') === place.hostname && isSamePort(port, place.port) && path.startsWith(`${place.base}/l/`.toLowerCase())
}

// http and https of one host lead to the same people: whoever listens at the one forwards to the other.
const isSamePort = (a: string, b: string): boolean => a === b || [a, b].every((port) => ['', '80', '443'].includes(port))

// Without its scheme phones make a link of it as well.
const bareLink = (hostname: string, port: string, base: string): RegExp => {
  const ports = ['', '80', '443'].includes(port) ? '(?::80|:443)?' : `:${port}`
  return new RegExp(
    `(?<![\\w.-])${escaped(hostname)}\\.?${ports}${escaped(base.toLowerCase()).replaceAll('/', '[/\\\\]+')}[/\\\\]+l[/\\\\]`,
  )
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

const addressesIn = (text: string): string[] => [...text.matchAll(/https?:[/\\]{2}[^\s"<>]+/g)].map(([url]) => url)

// Letters in percent-encoding are the same letters to a server.
const decoded = (text: string): string =>
  text.replace(/%[2-7][0-9a-f]/gi, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)))
