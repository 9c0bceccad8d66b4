// Which services make up the local system, and the environment each of them is started with.

/** One of the programs below `apps/`. */
export interface ServiceKind {
  /** The directory below `apps/`, and the name in `services.json` and logs. */
  readonly name: string
  /** The variable by which the others learn its address. */
  readonly urlVariable?: string
  /** Set where the contract fixes the address instead of leaving it to the system. */
  readonly listens?: 'http' | 'sandbox'
}

/** All services of the local system, in the order of their start: what others wait for comes first. */
export const serviceKinds: readonly ServiceKind[] = [
  { name: 'provider-sandbox', listens: 'sandbox' },
  { name: 'template-svc', urlVariable: 'TEMPLATE_SVC_URL' },
  { name: 'people-svc', urlVariable: 'PEOPLE_SVC_URL' },
  { name: 'send-svc', urlVariable: 'SEND_SVC_URL' },
  { name: 'orchestrator', urlVariable: 'ORCHESTRATOR_URL' },
  { name: 'inapp-dispatcher', urlVariable: 'INAPP_DISPATCHER_URL' },
  { name: 'push-dispatcher', urlVariable: 'PUSH_DISPATCHER_URL' },
  { name: 'sms-dispatcher', urlVariable: 'SMS_DISPATCHER_URL' },
  { name: 'messenger-dispatcher', urlVariable: 'MESSENGER_DISPATCHER_URL' },
  { name: 'metrics-svc', urlVariable: 'METRICS_SVC_URL' },
  { name: 'gateway', listens: 'http' },
]

/** One process to run: the first instance of a service has its name, the others `<name>-2`, `<name>-3` … */
export interface ServiceInstance {
  readonly name: string
  readonly kind: ServiceKind
  readonly port: number
}

/**
 * Lays out the processes of a system.
 *
 * @param names the services to run
 * @param instances how many of a service, 1 unless told
 * @param portOf gives the port of the contract, or a free one for `undefined`
 * @throws Error for a service that does not exist or cannot run twice
 */
export async function layOut(
  names: readonly string[],
  instances: Readonly<Record<string, number>>,
  portOf: (listens: ServiceKind['listens']) => Promise<number>,
): Promise<ServiceInstance[]> {
  const unknown = [...names, ...Object.keys(instances)].find((name) => !serviceKinds.some((kind) => kind.name === name))
  if (unknown !== undefined) throw new Error(`There is no service ${unknown}.`)
  const laidOut: ServiceInstance[] = []
  for (const kind of serviceKinds.filter(({ name }) => names.includes(name))) {
    const count = instances[kind.name] ?? 1
    if (count > 1 && kind.listens !== undefined) throw new Error(`${kind.name} has one address and cannot run ${count} times.`)
    for (let number = 1; number <= count; number++) {
      laidOut.push({ name: number === 1 ? kind.name : `${kind.name}-${number}`, kind, port: await portOf(kind.listens) })
    }
  }
  return laidOut
}

/** The variables that tell every service where the others are: of several instances the first. */
export function serviceUrls(instances: readonly ServiceInstance[]): Record<string, string> {
  return Object.fromEntries(
    instances.flatMap(({ name, kind, port }) =>
      kind.urlVariable !== undefined && name === kind.name ? [[kind.urlVariable, `http://127.0.0.1:${port}`]] : [],
    ),
  )
}
