// Which service answers which paths. The same path is used at the service.

/** A service behind the gateway. */
interface Service {
  readonly name: string
  /** What it is to a caller, for messages. */
  readonly part: string
  readonly urlVariable: string
  readonly prefixes: readonly string[]
  /** Whether some of it is a person's own: user tokens reach it. */
  readonly forPeople?: true
  /** Which calls without credentials are its own: the provider whose callbacks it takes, the first letter of its tracked links. */
  readonly takes?: { readonly callbacksOf: string; readonly linksOf: string }
  /** The largest body it takes; null where it streams without end (CSV audiences). */
  readonly maxBodyBytes: number | null
}

const megabyte = 1024 * 1024

export const services = [
  { name: 'template-svc', part: 'templates', urlVariable: 'TEMPLATE_SVC_URL', prefixes: ['/v1/templates'], maxBodyBytes: megabyte },
  { name: 'send-svc', part: 'sends', urlVariable: 'SEND_SVC_URL', prefixes: ['/v1/sends'], maxBodyBytes: 64 * megabyte },
  { name: 'people-svc', part: 'users', urlVariable: 'PEOPLE_SVC_URL', prefixes: ['/v1/users'], maxBodyBytes: megabyte },
  { name: 'orchestrator', part: 'sequences', urlVariable: 'ORCHESTRATOR_URL', prefixes: ['/v1/sequences'], maxBodyBytes: megabyte },
  {
    name: 'inapp-dispatcher',
    part: 'the in-app feed',
    urlVariable: 'INAPP_DISPATCHER_URL',
    prefixes: ['/v1/feed'],
    forPeople: true,
    maxBodyBytes: megabyte,
  },
  {
    name: 'push-dispatcher',
    part: 'push',
    urlVariable: 'PUSH_DISPATCHER_URL',
    prefixes: ['/v1/push'],
    forPeople: true,
    maxBodyBytes: megabyte,
  },
  {
    name: 'sms-dispatcher',
    part: 'SMS',
    urlVariable: 'SMS_DISPATCHER_URL',
    prefixes: ['/v1/sms'],
    takes: { callbacksOf: 'twilio', linksOf: 's' },
    maxBodyBytes: megabyte,
  },
  {
    name: 'messenger-dispatcher',
    part: 'KakaoTalk',
    urlVariable: 'MESSENGER_DISPATCHER_URL',
    prefixes: ['/v1/kakao'],
    takes: { callbacksOf: 'solapi', linksOf: 'k' },
    maxBodyBytes: megabyte,
  },
  { name: 'metrics-svc', part: 'metrics', urlVariable: 'METRICS_SVC_URL', prefixes: ['/v1/metrics'], maxBodyBytes: megabyte },
] as const satisfies readonly Service[]

export type ServiceName = (typeof services)[number]['name']

/** The routes to register for every prefix: itself and all below it. */
export const forwardedPaths: string[] = services.flatMap(({ prefixes }) => prefixes.flatMap((prefix) => [prefix, `${prefix}/*rest`]))

/** A service by its name. */
export type NamedService = Service & { name: ServiceName }
const named: readonly NamedService[] = services

/** What user tokens reach, in words. */
export const pathsForPeople = named
  .filter(({ forPeople }) => forPeople)
  .flatMap(({ prefixes }) => prefixes)
  .join(' and ')

/** The service that takes callbacks of a provider; undefined when none does. */
export const serviceOfCallbacks = (provider: string): NamedService | undefined => named.find(({ takes }) => takes?.callbacksOf === provider)

/** The service that a tracked link belongs to: its token's first letter says so. */
export const serviceOfLink = (token: string): NamedService | undefined => named.find(({ takes }) => takes?.linksOf === token.charAt(0))

/** Whether a path is answered by a stream that stays open, whatever its client says it accepts; spelled as loosely as services take it. */
export const isStream = (path: string): boolean => /^\/v1\/feed\/stream\/?$/i.test(path)

/** The service that answers a path; undefined when none does. */
export const serviceOf = (path: string): NamedService | undefined =>
  named.find(({ prefixes }) => prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)))
