// What operators ask of every service: is it alive, is it ready, how is it doing, what does it serve.
import { Controller, Get, Header, Inject } from '@nestjs/common'
import { Undescribed } from './describe'
import { Registry } from './metrics'
import { OpenApi } from './openapi'
import { Problem } from './problem'
import { Readiness } from './readiness'
import { RequireScope } from './scope'

/** 503 naming the parts that are not ready. */
export const notReadyProblem = (notReady: readonly string[]): Problem =>
  new Problem({ status: 503, detail: `Not ready: ${notReady.join(', ')}.`, headers: { 'retry-after': '1' }, extensions: { notReady } })

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

  /** Ready to work, or 503 with `notReady`, the parts it waits for. */
  @Get('readyz')
  async readyz(): Promise<{ ready: true }> {
    const notReady = await this.readiness.notReady()
    if (notReady.length > 0) throw notReadyProblem(notReady)
    return { ready: true }
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
