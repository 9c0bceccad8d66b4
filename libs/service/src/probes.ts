// What operators ask of every service: is it alive, is it ready, how is it doing, what does it serve.
import { Controller, Get, Header, Inject, Query } from '@nestjs/common'
import { z } from 'zod'
import { Undescribed } from './describe'
import { Registry } from './metrics'
import { OpenApi } from './openapi'
import { Problem } from './problem'
import { type NotReady, Readiness, stopping } from './readiness'
import { RequireScope } from './scope'

/** What `/readyz` may be asked: `of=self` whether this process can answer, for load balancers; else whether everything it needs is there. */
export const readyQuery = z.object({ of: z.enum(['self']).optional() })
export type ReadyQuery = z.output<typeof readyQuery>

/** 503 naming the parts that are not ready, and why where they say so. */
const notReadyProblem = (parts: readonly NotReady[]): Problem =>
  new Problem({
    status: 503,
    detail: `Not ready: ${notReadyInWords(parts)}.`,
    headers: { 'retry-after': '1' },
    extensions: {
      notReady: parts.map(({ part }) => part),
      details: Object.fromEntries(parts.flatMap(({ part, detail }) => (detail === null ? [] : [[part, detail] as const]))),
    },
  })

/** The parts in a sentence: `kafka (no answer for 35 s), postgres`. */
export const notReadyInWords = (parts: readonly NotReady[]): string =>
  parts.map(({ part, detail }) => (detail === null ? part : `${part} (${detail})`)).join(', ')

/** Answers a probe: 503 where something is missing. */
export async function answerReadiness(
  readiness: Readiness,
  whole: () => Promise<readonly NotReady[]>,
  { of }: ReadyQuery,
): Promise<{ ready: true }> {
  const notReady = of === 'self' ? (readiness.canAnswer ? [] : [stopping]) : await whole()
  if (notReady.length > 0) throw notReadyProblem(notReady)
  return { ready: true }
}

@Controller()
@Undescribed()
@RequireScope('public')
export class Probes {
  constructor(
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Registry) private readonly metrics: Registry,
    @Inject(OpenApi) private readonly openApi: OpenApi,
  ) {}

  /** Alive: the process answers. */
  @Get('healthz')
  healthz(): { alive: true } {
    return { alive: true }
  }

  /** Ready to work, or 503 with `notReady`, the parts it waits for, and `details`. `?of=self`: this process can answer. */
  @Get('readyz')
  readyz(@Query({ schema: readyQuery }) query: ReadyQuery): Promise<{ ready: true }> {
    return answerReadiness(this.readiness, () => this.readiness.notReady(), query)
  }

  /** Prometheus text format. Services listen on loopback: not public. */
  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  prometheus(): Promise<string> {
    return this.metrics.metrics()
  }

  /** What this service serves, as OpenAPI 3.0. */
  @Get('openapi.json')
  document(): object {
    return this.openApi.document()
  }
}
