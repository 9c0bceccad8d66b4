// Addresses in a template's texts: where they begin and end, which of their places a value may fill, and what the value becomes there.
//
// A value in an address stays one value: it is percent-encoded as a component. Scheme, host, port and user name are the template's own words,
// or one variable of type action or image is the whole of them; so no value moves an address to another server.

/** `url`: a field that is one address; `text`: anything that people read. */
export type Kind = 'url' | 'text'

/** What a value becomes where it is put: itself; a component of an address; itself in front of a path, where nothing else can be. */
export type Role = 'itself' | 'component' | 'authority'

/** A place of a text that a value fills. */
export interface Place {
  readonly name: string
  /** As it was written. */
  readonly written: string
  readonly role: Role
}

/** Something to look at once the values are in; `from` and `to` count each place as one character. */
export interface Guard {
  readonly from: number
  readonly to: number
  /** `fixed`: scheme and authority must be these; `led`: the first value leads, and nothing behind it may change where. */
  readonly kind: 'fixed' | 'led'
  /** Of a `fixed` one: host, port and user name without any value. */
  readonly authority: string
  /** A value stands right in front of it, and must not make it a part of an address of its own. */
  readonly isPreceded: boolean
}

/** A text taken apart: `literals[0]`, the first place, `literals[1]` …; and what of it the rules of a template refuse. */
export interface Plan {
  readonly literals: readonly string[]
  readonly places: readonly Place[]
  /** Where each place stands, every one before it counted as one character. */
  readonly at: readonly number[]
  readonly guards: readonly Guard[]
  readonly problems: readonly string[]
  /** Of a url: the variable that is its beginning, if one is. */
  readonly leader: string | null
}

// Stands for a place while a text is read: no character, so that no text has a reason to hold it.
const mask = '\uffff'

interface Masked {
  readonly text: string
  readonly names: ReadonlyMap<number, { readonly name: string; readonly written: string }>
}

interface Run {
  readonly from: number
  readonly authorityFrom: number
  readonly authorityTo: number
  readonly to: number
  readonly hasFixedScheme: boolean
}

// What no address holds, whoever reads it.
const hardEnd = /[\s"<>\p{Cc}]/u
const structure = /[A-Za-z0-9/?&=#%]/

/**
 * What is written in Korean right behind a word: particles and endings. `https://shop.example/42에서` is an address and a particle for whoever
 * wrote it; no other text behind an address can be told from a part of it.
 */
const particle =
  /(?:으로|로|에서|에게|에|은|는|이|가|을|를|의|와|과|이랑|랑|도|만|까지|부터|보다|처럼|이나|나|이라고|라고|이라는|라는|이라면|라면|이면|하고|께서|께|한테|이며|며|이고|고|이에요|예요|에요|입니다|이다|임|및|등|인){1,2}(?![\p{L}\p{M}\p{N}/?&=#%+_~-])/uy

/** The end of the Korean particle at this place; -1 when there is none. */
export function particleEnd(text: string, at: number): number {
  particle.lastIndex = at
  return particle.test(text) ? particle.lastIndex : -1
}

const symbols = /[\p{S}\p{M}\u200d\ufe0e\ufe0f]+/uy

/** Where an address in a text ends at the latest, `from` being in its path: what is put in before that is inside it. */
function endOf(text: string, from: number): number {
  let opened = ''
  for (let i = from; i < text.length; i++) {
    const character = String.fromCodePoint(text.codePointAt(i)!)
    if (hardEnd.test(character)) return i
    if ('([{'.includes(character)) opened += character
    else if (')]}'.includes(character)) {
      const opening = opened.lastIndexOf('([{'[')]}'.indexOf(character)]!)
      if (opening === -1) return i
      opened = opened.slice(0, opening)
    } else if (character > '\x7f' && character !== mask) {
      if (/[\p{P}\p{Cf}]/u.test(character)) return i
      if (/\p{S}/u.test(character)) {
        symbols.lastIndex = i
        symbols.test(text)
        if (!structure.test(text.charAt(symbols.lastIndex))) return i
      }
      if (/[A-Za-z0-9\uffff]/.test(text.charAt(i - 1)) && particleEnd(text, i) !== -1) return i
      i += character.length - 1
    }
  }
  return text.length
}

const isEnding = (kind: Kind, character: string): boolean => /[/?#\\]/.test(character) || (kind === 'text' && hardEnd.test(character))

/** The addresses that begin with the template's own words, or with a scheme that values may complete to http or https. */
function runsIn(text: string, kind: Kind): Run[] {
  const runs: Run[] = []
  let done = 0
  for (let colon = text.indexOf(':'); colon !== -1; colon = text.indexOf(':', Math.max(colon + 1, done))) {
    let from = colon
    while (from > done && /[a-z\uffff]/i.test(text.charAt(from - 1))) from--
    const fixed = /https?$/i.exec(text.slice(from, colon))
    const before = fixed === null ? '' : text.slice(from, colon - fixed[0].length)
    const hasFixedScheme = fixed !== null && (before === '' || before.endsWith(mask))
    if (hasFixedScheme) from = colon - fixed[0].length
    else if (!text.slice(from, colon).includes(mask) || !isCompletable(text.slice(from, colon))) continue
    if (/[A-Za-z0-9_]/.test(text.charAt(from - 1))) continue
    let authorityFrom = colon + 1
    while (/[/\\]/.test(text.charAt(authorityFrom))) authorityFrom++
    // `https:` and a value: that brings the slashes. Otherwise it takes two to make an address.
    const isOpen = hasFixedScheme && text.charAt(authorityFrom) === mask
    if (authorityFrom - colon < 3 && !isOpen) continue
    let authorityTo = authorityFrom
    while (authorityTo < text.length && !isEnding(kind, text.charAt(authorityTo))) authorityTo++
    const to = kind === 'url' ? text.length : endOf(text, authorityTo)
    runs.push({ from, authorityFrom, authorityTo, to, hasFixedScheme })
    done = to
  }
  return runs
}

/** Whether values could make the scheme http or https. */
const isCompletable = (scheme: string): boolean => {
  const pattern = new RegExp(`^${scheme.replace(/\uffff+/g, '.*')}$`, 'i')
  return pattern.test('http') || pattern.test('https')
}

function maskedOf(text: string): Masked {
  const names = new Map<number, { name: string; written: string }>()
  let out = ''
  let last = 0
  for (const found of text.matchAll(/\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}/g)) {
    out += text.slice(last, found.index)
    names.set(out.length, { name: found[1]!, written: found[0] })
    out += mask
    last = found.index + found[0].length
  }
  return { text: out + text.slice(last), names }
}

/**
 * Takes a text apart.
 * @param isAddress whether the variable of a name holds a whole address (type action or image)
 */
export function planOf(written: string, kind: Kind, isAddress: (name: string) => boolean): Plan {
  const { text, names } = maskedOf(written)
  const roles = new Map<number, Role>()
  const guards: Guard[] = []
  const problems: string[] = []
  const shown = (from: number, to: number): string =>
    text
      .slice(from, to)
      .split('')
      .map((unit, i) => names.get(from + i)?.written ?? unit)
      .join('')
      .slice(0, 60)

  const leader = kind === 'url' ? names.get(0) : undefined
  const runs = leader === undefined ? runsIn(text, kind) : []
  for (const { from, authorityFrom, authorityTo, to, hasFixedScheme } of runs) {
    const authority = text.slice(authorityFrom, authorityTo)
    const isOpen = !hasFixedScheme || authority.includes(mask)
    for (const place of names.keys()) {
      if (place >= authorityFrom && place < authorityTo) roles.set(place, 'authority')
      else if (place >= authorityTo && place < to) roles.set(place, 'component')
    }
    const isPreceded = names.has(from - 1)
    if (isOpen || isPreceded) guards.push({ from, to, kind: 'fixed', authority: authority.replaceAll(mask, ''), isPreceded })
    problems.push(...fixedProblems(text, { from, authorityFrom, authorityTo, to, hasFixedScheme }, shown))
  }
  if (leader !== undefined) {
    for (const place of names.keys()) if (place > 0) roles.set(place, 'component')
    if (text.length > 1 && !/[/?#&]/.test(text.charAt(1))) {
      problems.push(`must go on with / ? # or & behind ${leader.written}: anything else would lead to another host`)
    }
  } else if (kind === 'text') led(text, names, isAddress, runs, roles, guards)

  const at = [...names.keys()]
  const ends = [...at, text.length]
  return {
    literals: ends.map((end, i) => text.slice(i === 0 ? 0 : ends[i - 1]! + 1, end)),
    places: at.map((place) => ({ ...names.get(place)!, role: roles.get(place) ?? 'itself' })),
    at,
    guards,
    problems,
    leader: leader?.name ?? null,
  }
}

/** What of an address's own words is refused. */
function fixedProblems(text: string, run: Run, shown: (from: number, to: number) => string): string[] {
  const { from, authorityFrom, authorityTo, to, hasFixedScheme } = run
  const authority = text.slice(authorityFrom, authorityTo)
  const address = `"${shown(from, to)}"`
  if (!hasFixedScheme) return [`must not make the scheme of an address of variables: write http:// or https:// in ${address}`]
  if (authority.includes(mask)) {
    return [
      `must have no variable in the host, port or user name of an address: in ${address} a value could lead to another server; put it behind a /`,
    ]
  }
  if (authority.includes('@'))
    return [`must have no user name in an address: whoever reads ${address} takes what stands before the @ for its host`]
  // Browsers take it for a slash, others for a part of the user name or host.
  if (authority !== '' && text.charAt(authorityTo) === '\\')
    return [`must have no \\ behind the host of an address, as in ${address}: write /`]
  return []
}

/** Addresses that begin with a variable which holds one. */
function led(
  text: string,
  names: Masked['names'],
  isAddress: (name: string) => boolean,
  runs: readonly Run[],
  roles: Map<number, Role>,
  guards: Guard[],
): void {
  let done = 0
  for (const [place, { name }] of names) {
    if (place < done || !isAddress(name) || runs.some(({ from, to }) => place >= from && place < to)) continue
    const next = text.charAt(place + 1)
    const goesOn = next !== '' && '/?#&'.includes(next)
    if (!goesOn && next !== mask) continue
    done = goesOn ? endOf(text, place + 1) : place + 2
    if (goesOn) for (const other of names.keys()) if (other > place && other < done) roles.set(other, 'component')
    guards.push({ from: place, to: done, kind: 'led', authority: '', isPreceded: false })
  }
}

/** A value as a component of an address (RFC 3986), including what phones cut off at an address's end. */
export const component = (value: string): string =>
  encodeURIComponent(value.toWellFormed()).replace(
    /[!'()*]|\.(?=\.*$)/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** A value where only a path, a query or nothing is left to be: a place that templates of earlier versions may have. */
export const besideAuthority = (value: string): string => value.toWellFormed().replace(/[\s"<>\\^`{|}\p{Cc}]/gu, encodeURIComponent)

/** Whether the text is an absolute http or https URL. */
export const isHttpUrl = (text: string): boolean => /^https?:\/\/[^\s/]/i.test(text) && URL.canParse(text)

/** Whether a value may be a whole address: http or https, without a user name, and read alike by all who read addresses. */
export const isPlainHttpUrl = (text: string): boolean =>
  isHttpUrl(text) && !/[\p{Cc}]/u.test(text) && !/^https?:\/\/[^/?#]*[@\\]/i.test(text)

const originOf = (url: string): string | null => {
  if (!URL.canParse(url)) return null
  const { protocol, username, password, host } = new URL(url)
  return `${protocol}//${username}:${password}@${host}`
}

/** Whether what follows an address leaves it on its server. */
export const isSameOrigin = (address: string, longer: string): boolean => originOf(address) === originOf(longer)

/** Whether a text that ends in `before` would take what follows into an address of its own. */
export function endsInAddress(before: string): boolean {
  const tail = before.slice(-2_048)
  const slashes = tail.lastIndexOf('://')
  return slashes > 0 && /[a-z]/i.test(tail.charAt(slashes - 1)) && !hardEnd.test(tail.slice(slashes))
}
