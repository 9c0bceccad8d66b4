// The calls on sends: taken whole or refused, told how they stand, cancelled.
import { randomUUID } from 'node:crypto'
import { freeIdProblem, sendIdOf, sequenceIdOf } from '@stepcast/contracts'
import type { TemplatesReplica } from '@stepcast/replica'
import { currentTraceparent, HeldBytes, markReplayed, notFound, page, pageOf, refused, unavailable, type Caller } from '@stepcast/service'
import type { TemplateVersion } from '@stepcast/template'
import type { Pool } from 'pg'
import type { FanOut } from './fanOut'
import { readSend } from './reading'
import { receiversOf, type SendRequest } from './request'
import type { SendSummary, Services } from './services'
import {
  findSend,
  firstAnswer,
  listSends,
  sendOrder,
  storeSend,
  type FirstAnswer,
  type ListedSend,
  type SendAnswer,
  type SendFilter,
} from './store'

// What an answer lists; whoever needs the rest asks for the sequences of the send.
const sequencesListed = 100
// Bodies of sends that are read, judged or stored, all together; what is made of them on the way is some three times as much.
const heldBytes = 96 * 1024 * 1024
// The replica itself waits without limit, a caller does not.
const templateTimeoutMs = 10_000

export class Sends {
  private readonly held = new HeldBytes(heldBytes)

  constructor(
    private readonly pool: Pool,
    private readonly templates: Pick<TemplatesReplica, 'ask'>,
    private readonly fanOut: Pick<FanOut, 'kick'>,
    private readonly services: Services,
  ) {}

  /**
   * Takes a send: when it answers, the send is stored and will be fanned out. The same key and body give the first answer again.
   * @throws Problem 422 naming fields, or for a key used with another body; 503 when the template cannot be judged within 10 s.
   */
  async request(caller: Caller, key: string | null, body: AsyncIterable<Buffer>): Promise<SendAnswer> {
    const { request, fingerprint, heldBytes } = await readSend(body, this.held)
    try {
      return await this.take(caller, key, request, key === null ? null : fingerprint)
    } finally {
      this.held.give(heldBytes)
    }
  }

  private async take({ workspaceId }: Caller, key: string | null, request: SendRequest, fingerprint: string | null): Promise<SendAnswer> {
    const sendId = sendIdOf(workspaceId, key)
    if (key !== null) {
      // Before anything is judged: a repeated request is answered as it was, though the template may be archived by now.
      const first = await firstAnswer(this.pool, workspaceId, sendId)
      if (first !== null) return again(first, fingerprint)
    }
    const template = await this.templateFor(workspaceId, request)
    const { receivers, duplicates, errors } = await receiversOf(template.variableSchema, request)
    if (errors.length > 0) throw refused(errors)

    const answer: SendAnswer = {
      sendId,
      templateId: template.templateId,
      templateVersion: template.version,
      accepted: receivers.length,
      duplicates,
      sequences: receivers
        .slice(0, sequencesListed)
        .map(({ userId }) => ({ userId, sequenceId: sequenceIdOf(workspaceId, sendId, userId) })),
    }
    const stored = await storeSend(this.pool, {
      workspaceId,
      sendId,
      fingerprint,
      templateId: template.templateId,
      templateVersion: template.version,
      variableSchema: template.variableSchema,
      variables: request.variables,
      tag: request.tag,
      traceparent: currentTraceparent() ?? null,
      receivers,
      answer,
    })
    if (!stored) return again((await firstAnswer(this.pool, workspaceId, sendId))!, fingerprint)
    this.fanOut.kick()
    return answer
  }

  /**
   * A send with the outcomes of its sequences; one that only came over Kafka is known by its sequences.
   * @throws Problem 404; 503 without metrics-svc.
   */
  async read(caller: Caller, sendId: string): Promise<SendSummary> {
    const [own, told] = await Promise.all([findSend(this.pool, caller.workspaceId, sendId), this.services.summary(caller, sendId)])
    if (own === null) {
      if (told === null) throw noSuchSend()
      return told
    }
    const { stopped = 0, exhausted = 0, unreachable = 0, cancelled = 0 } = told?.outcomes ?? {}
    return {
      ...own,
      requestedAt: own.requestedAt.toISOString(),
      // Whoever has not ended is running, also before the orchestrator has seen the request.
      outcomes: {
        running: Math.max(0, own.recipients - stopped - exhausted - unreachable - cancelled),
        stopped,
        exhausted,
        unreachable,
        cancelled,
      },
    }
  }

  /** Sends taken here in the last 30 days, newest first; those of Kafka producers are known by their sequences. */
  async list(
    caller: Caller,
    query: { limit?: unknown; cursor?: unknown },
    filter: SendFilter,
  ): Promise<{ items: ListedSend[]; nextCursor: string | null }> {
    const asked = page(query, sendOrder)
    const found = await listSends(this.pool, caller.workspaceId, filter, asked)
    return pageOf(found, asked, sendOrder, ({ requestedAt, sendId }) => [requestedAt.getTime(), sendId])
  }

  /**
   * Cancels a send: when it answers, no step of it is commanded any more. What is not fanned out yet is born cancelled. The cancel is recorded
   * whether the send is known or not; the read model is never asked.
   * @throws Problem 404 for one that neither is stored here nor has reached the orchestrator; 503 when the orchestrator is out of reach.
   */
  async cancel(caller: Caller, sendId: string): Promise<{ sendId: string; cancelled: true }> {
    if (freeIdProblem(sendId)) throw noSuchSend()
    const known = (await findSend(this.pool, caller.workspaceId, sendId)) !== null
    const found = await this.services.cancel(caller, {
      cancelId: randomUUID(),
      scope: 'send',
      id: sendId,
      requestedBy: requestedBy(caller),
      known,
    })
    // Stored meanwhile, by a request that was under way.
    if (!found && (await findSend(this.pool, caller.workspaceId, sendId)) === null) throw notYetThere()
    return { sendId, cancelled: true }
  }

  private async templateFor(workspaceId: string, { templateId, templateVersion }: SendRequest): Promise<TemplateVersion> {
    const ask = (version: number | null): Promise<TemplateVersion | null> =>
      withinTime(this.templates.ask({ workspaceId, templateId, version }))
    const template = await ask(templateVersion)
    if (template === null) {
      const latest = typeof templateVersion === 'number' ? await ask(null) : null
      throw refused([
        latest === null
          ? { path: '/templateId', message: `names no approved template of this workspace: "${templateId}"` }
          : { path: '/templateVersion', message: `must be an approved version, 1 to ${latest.version}, or absent for the latest` },
      ])
    }
    if (template.archived)
      throw refused([
        { path: '/templateId', message: `names an archived template, which takes no new sends: unarchive "${templateId}" first` },
      ])
    return template
  }
}

function again({ fingerprint: first, answer }: FirstAnswer, fingerprint: string | null): SendAnswer {
  if (first === fingerprint) {
    markReplayed()
    return answer
  }
  throw refused([{ path: '/Idempotency-Key', message: 'was used with another body: use a new key for a new send' }])
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unavailable('Kafka is out of reach, so the template cannot be judged: try again.')), templateTimeoutMs)
  })
  // The loser of the race may reject later, when nobody listens.
  work.catch(() => {})
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const noSuchSend = () => notFound('There is no such send in this workspace.')

const notYetThere = () => notFound('There is no such send in this workspace yet; should it come within 24 hours, it is born cancelled.')

const requestedBy = ({ via, keyId }: Caller): string => (keyId === null ? via : `${via} ${keyId}`)
