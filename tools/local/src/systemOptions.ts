// What a system can be started with.

/** What to start and where. */
export interface SystemOptions {
  /** The data directory; made when missing. One system at a time runs on it. */
  readonly home: string
  /** Ports of the contract; 0 or absent: any free port. */
  readonly ports?: {
    readonly http?: number
    readonly grpc?: number
    readonly sandbox?: number
    /** Of FCM and APNs over HTTP/2. */
    readonly sandboxTls?: number
    readonly kafka?: number
    readonly registry?: number
    readonly postgres?: number
  }
  /** Length of a "minute" of windows and deadlines; 60,000 by default. */
  readonly minuteMs?: number
  /** P; 12 by default. Fixed by the first start on a broker. */
  readonly partitions?: number
  /** Of the topics; 1 on our broker, the broker's own default on yours. */
  readonly replicationFactor?: number
  /** Address in links and callbacks; the gateway's by default. */
  readonly publicUrl?: string
  /** Makes workspaces; by default a random one that the data directory keeps. */
  readonly rootKey?: string
  /** What the services trust each other's calls by, and seal with while STEPCAST_ENCRYPTION_KEY is not set; by default a random one that the data directory keeps. */
  readonly internalSecret?: string
  /** Where the providers are, by variable (`TWILIO_ENDPOINT`); the sandbox unless told. */
  readonly providers?: Readonly<Record<string, string>>
  /** What the user brings instead of our broker, registry and database. */
  readonly use?: { readonly kafkaBrokers?: string; readonly registryUrl?: string; readonly databaseUrl?: string }
  /** Added to the environment of every service; wins over what is set here. */
  readonly env?: NodeJS.ProcessEnv
  /** Likewise for single processes, by their name in `services.json`. */
  readonly envOf?: Readonly<Record<string, NodeJS.ProcessEnv>>
  /** The services to run; all of them by default. */
  readonly services?: readonly string[]
  /** How many processes of a service, as `{ orchestrator: 2 }`; the second is named `orchestrator-2`. */
  readonly instances?: Readonly<Record<string, number>>
  /** Start a program again when it crashes (default). */
  readonly restartCrashed?: boolean
  /** The directory of the services, `<appsRoot>/<name>/dist/main.js`; the checkout's `apps` by default. */
  readonly appsRoot?: string
  /** Called with a line for a person whenever something has been done. */
  readonly onProgress?: (line: string) => void
  /** Aborts the start: what has been started is stopped and `startSystem` rejects. */
  readonly signal?: AbortSignal
}
