// Commands become rows before their offsets move; what was commanded before only has its report repeated.
import type { Pool, PoolClient } from 'pg'
import { userKey, type ChannelType, type DispatchStep } from '@stepcast/contracts'
import { ints, inTransaction, nullable, texts } from '@stepcast/postgres'
import type { UsersReplica } from '@stepcast/replica'
import type { Accounts } from './accounts'
import { answerOf, answerWithoutTarget } from './answer'
import type { HandOver } from './handOver'
import { firstFence, targetKey } from './ledger'
import type { Commanded, NewMessage, Recipient, Recipients } from './message'
import { enqueueReports, settle, type Answered, type SettleOptions } from './settle'

/** What storing messages takes. */
export interface StoreOptions {
  /** The service's name, as `source` of its reports. */
  readonly service: string
  /** How long an attempt may be under way. */
  readonly leaseMs: number
}

/** What the intake of a channel is made of. */
export interface IntakeOptions extends SettleOptions, StoreOptions {
  readonly pool: Pool
  readonly users: UsersReplica<Recipient>
  readonly channel: ChannelType
  /** The reason of a message whose user has no address: `no_token`, `no_number`. */
  readonly noAddress: string
  /** Asked which providers a workspace can send with. */
  readonly accounts: Pick<Accounts<ChannelType>, 'providersOf'>
  /** Null: every message is stored and claimed. */
  readonly handOver: Pick<HandOver<ChannelType>, 'run'> | null
}

/**
 * Stores a batch of commands: those handed over portion by portion, all others in one transaction. Repeats are welcome.
 * Answers whether anything may wait to be claimed.
 */
export async function takeCommands(commands: readonly Commanded[], options: IntakeOptions): Promise<boolean> {
  // The last of each message, since a repeat says nothing new.
  const sends = lastOfEach(commands.filter(({ command }) => command.action === 'send'))
  const withdrawals = lastOfEach(commands.filter(({ command }) => command.action === 'withdraw'))
  const nowMs = await databaseClock(options.pool)
  const { messages, recipients } = await resolved(sends, options, nowMs())
  const withdrawn = new Set(withdrawals.map(({ command }) => command.messageId))
  const offered = messages.filter(({ answer, command }) => answer === null && !withdrawn.has(command.messageId))
  const handedOver = await options.handOver?.run({ messages: offered, recipients, nowMs })
  const left = messages.filter((message) => !handedOver?.stored.has(message))
  if (left.length === 0 && withdrawals.length === 0) return handedOver?.waits ?? false
  await inTransaction(options.pool, async (tx) => {
    await store(tx, left, nothing, options)
    await withdraw(tx, withdrawals, options, nowMs())
  })
  return (handedOver?.waits ?? false) || left.some(({ answer }) => answer === null)
}

/** Stores messages in a transaction of their own; see {@link HandOverOptions.store}. */
export function storeMessages(
  messages: readonly NewMessage[],
  attempting: ReadonlySet<string>,
  options: StoreOptions & { readonly pool: Pool },
): Promise<ReadonlySet<string>> {
  return inTransaction(options.pool, (tx) => store(tx, messages, attempting, options))
}

const nothing: ReadonlySet<string> = new Set()

/** Stores messages, those of `attempting` targets as under way; answers the messages that were new. */
async function store(
  tx: PoolClient,
  messages: readonly NewMessage[],
  attempting: ReadonlySet<string>,
  options: StoreOptions,
): Promise<ReadonlySet<string>> {
  const isNew = await insertMessages(tx, messages)
  const added = messages.filter(({ command }) => isNew.has(command.messageId))
  await insertTargets(tx, added, attempting, options.leaseMs)
  await report(tx, messages, isNew, options.service)
  return isNew
}

// As everywhere in the ledger: a process whose clock is wrong must not take every command for expired.
async function databaseClock(pool: Pool): Promise<() => number> {
  const { rows } = await pool.query<{ now: number }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now')
  const ahead = rows[0]!.now - performance.now()
  return () => Math.floor(ahead + performance.now())
}

const lastOfEach = (commands: readonly Commanded[]): Commanded[] => [
  ...new Map(commands.map((one) => [one.command.messageId, one])).values(),
]

/** Finds out whom to send to. A missing user or address is believed only when the replica has read as far as the topic reached now. */
async function resolved(
  commands: readonly Commanded[],
  options: IntakeOptions,
  nowMs: number,
): Promise<{ readonly messages: readonly NewMessage[]; readonly recipients: Recipients }> {
  const { users } = options
  const names = commands.map(({ command }) => command)
  // Whoever is handed over is asked about at once; else only where somebody seems to be missing.
  const upTo = options.handOver === null || names.length === 0 ? null : await users.caughtUp()
  let known = await users.load(names)
  if (upTo === null && names.some(({ workspaceId, userId }) => (known.get(userKey(workspaceId, userId))?.addresses.length ?? 0) === 0)) {
    await users.caughtUp()
    known = await users.load(names)
  }
  const recipientOf = ({ workspaceId, userId }: DispatchStep): Recipient | undefined => known.get(userKey(workspaceId, userId))
  const providers = await options.accounts.providersOf(neededProviders(names, recipientOf))
  const messages = commands.map((one) =>
    newMessage(one, recipientOf(one.command), providers.get(one.command.workspaceId)!, options.noAddress, nowMs),
  )
  return { messages, recipients: { known, upTo } }
}

/** The providers that the addresses of these commands' users ask for, by workspace. */
function neededProviders(
  commands: readonly DispatchStep[],
  recipientOf: (command: DispatchStep) => Recipient | undefined,
): ReadonlyMap<string, ReadonlySet<string>> {
  const needed = new Map<string, Set<string>>()
  for (const command of commands) {
    const names = needed.get(command.workspaceId) ?? new Set()
    needed.set(command.workspaceId, names)
    for (const { provider } of recipientOf(command)?.addresses ?? []) names.add(provider)
  }
  return needed
}

function newMessage(
  one: Commanded,
  recipient: Recipient | undefined,
  providers: ReadonlySet<string>,
  noAddress: string,
  nowMs: number,
): NewMessage {
  const answered = (kind: 'skipped' | 'failed', reason: string): NewMessage => ({
    ...one,
    answer: answerWithoutTarget(kind, reason, nowMs),
    targets: [],
  })
  if (one.command.expiresAt <= nowMs) return answered('failed', 'expired')
  if (providers.size === 0) return answered('skipped', 'channel_disabled')
  if (recipient === undefined) return answered('skipped', 'no_user')
  if (recipient.addresses.length === 0) return answered('skipped', noAddress)
  const targets = recipient.addresses.map((address) => ({ ...address, isServed: providers.has(address.provider) }))
  const answer = targets.some(({ isServed }) => isServed)
    ? null
    : answerOf(
        targets.map((target) => ({ ...target, ...unserved })),
        nowMs,
      )
  return { ...one, answer, targets }
}

/** A target whose provider the workspace has no account with, such as an APNs token where only FCM is set up. */
const unserved = { state: 'skipped', uncertain: false, reason: 'no_provider', providerMessageId: null } as const

const insertMessagesSql = `
INSERT INTO messages
  (message_id, workspace_id, user_id, template_id, template_version, variables, window_ms, expires_at, answer, traceparent)
SELECT m, w, u, t, v, vars, window_ms, to_timestamp(expires_at / 1000), nullif(answer, 'null'), trace
FROM ROWS FROM (
  unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::int[]), jsonb_array_elements($6::jsonb),
  unnest($7::bigint[]), unnest($8::float8[]), jsonb_array_elements($9::jsonb), unnest($10::text[])
) AS commanded (m, w, u, t, v, vars, window_ms, expires_at, answer, trace)
ON CONFLICT (message_id) DO NOTHING RETURNING message_id`

async function insertMessages(tx: PoolClient, messages: readonly Omit<NewMessage, 'targets'>[]): Promise<ReadonlySet<string>> {
  if (messages.length === 0) return new Set()
  const commands = messages.map(({ command }) => command)
  const values = [
    texts(commands.map(({ messageId }) => messageId)),
    texts(commands.map(({ workspaceId }) => workspaceId)),
    // Whoever is not sent to is not named: nothing is asked about them again, and an erasure may have gone by.
    texts(messages.map(({ command, answer }) => (answer === null ? command.userId : ''))),
    texts(commands.map(({ templateId }) => templateId)),
    ints(commands.map(({ templateVersion }) => templateVersion)),
    JSON.stringify(messages.map(({ command, answer }) => (answer === null ? command.variables : {}))),
    nullable(commands.map(({ windowMs }) => windowMs)),
    ints(commands.map(({ expiresAt }) => expiresAt)),
    JSON.stringify(messages.map(({ answer }) => answer)),
    texts(messages.map(({ traceparent }) => traceparent)),
  ]
  const { rows } = await tx.query<{ message_id: string }>({ name: 'insert-messages', text: insertMessagesSql, values })
  return new Set(rows.map((row) => row.message_id))
}

// A target under way is as if it had been claimed and begun: see `begin`.
const insertTargetsSql = `
INSERT INTO ledger (message_id, target, provider, workspace_id, state, reason, attempts, fence, due_at, deadline_at)
SELECT m, t, p, w, s, CASE s WHEN 'skipped' THEN 'no_provider' END,
  CASE s WHEN 'attempting' THEN 1 ELSE 0 END, CASE s WHEN 'attempting' THEN ${firstFence} ELSE 0 END,
  CASE s WHEN 'pending' THEN now() END,
  CASE s WHEN 'pending' THEN to_timestamp(expires_at / 1000) WHEN 'attempting' THEN now() + $7 * interval '1 millisecond' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[]) AS addressed (m, t, p, w, s, expires_at)
ON CONFLICT DO NOTHING`

/** How a new target is stored. */
function stateOf(
  { command: { messageId } }: NewMessage,
  { target, isServed }: NewMessage['targets'][number],
  attempting: ReadonlySet<string>,
): 'skipped' | 'attempting' | 'pending' {
  if (!isServed) return 'skipped'
  return attempting.has(targetKey({ messageId, target })) ? 'attempting' : 'pending'
}

async function insertTargets(
  tx: PoolClient,
  messages: readonly NewMessage[],
  attempting: ReadonlySet<string>,
  leaseMs: number,
): Promise<void> {
  const rows = messages.flatMap((message) => message.targets.map((target) => ({ message, target })))
  if (rows.length === 0) return
  const values = [
    texts(rows.map(({ message }) => message.command.messageId)),
    texts(rows.map(({ target }) => target.target)),
    texts(rows.map(({ target }) => target.provider)),
    texts(rows.map(({ message }) => message.command.workspaceId)),
    texts(rows.map(({ message, target }) => stateOf(message, target, attempting))),
    ints(rows.map(({ message }) => message.command.expiresAt)),
    leaseMs,
  ]
  await tx.query({ name: 'insert-targets', text: insertTargetsSql, values })
}

/** Reports what is answered at once, and once more what a repeated command was answered before. */
async function report(tx: PoolClient, messages: readonly NewMessage[], isNew: ReadonlySet<string>, service: string): Promise<void> {
  const atOnce = messages.flatMap(({ command: { messageId, workspaceId }, traceparent, answer }) =>
    answer !== null && isNew.has(messageId) ? [{ messageId, workspaceId, traceparent, answer }] : [],
  )
  const repeated = messages.map(({ command }) => command.messageId).filter((messageId) => !isNew.has(messageId))
  const { rows } =
    repeated.length === 0
      ? { rows: [] }
      : await tx.query<Answered>(
          `SELECT message_id AS "messageId", workspace_id AS "workspaceId", traceparent, answer FROM messages
           WHERE message_id = ANY($1::text[]) AND answer IS NOT NULL`,
          [repeated],
        )
  await enqueueReports(tx, [...atOnce, ...rows], service)
}

/** Takes back what has not begun. A withdrawal that comes first leaves a row that answers the later `send`. */
async function withdraw(tx: PoolClient, withdrawals: readonly Commanded[], options: IntakeOptions, nowMs: number): Promise<void> {
  if (withdrawals.length === 0) return
  const isNew = await insertMessages(
    tx,
    withdrawals.map((one) => ({ ...one, answer: answerWithoutTarget('skipped', 'withdrawn', nowMs) })),
  )
  const known = withdrawals.map(({ command }) => command.messageId).filter((messageId) => !isNew.has(messageId))
  if (known.length > 0)
    await settle(
      tx,
      known.map((messageId) => ({ kind: 'withdrawn', messageId, target: null })),
      options,
    )
}
