// The OpenAPI document of a service, made from its controllers and their zod schemas when first asked for.
import type { INestApplication } from '@nestjs/common'
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger'
import { routesOf } from './scope'

type Operation = Record<string, unknown>

// Probes of a process, not part of the product's API.
const isProbe = (path: string): boolean => ['/healthz', '/readyz', '/metrics', '/openapi.json'].includes(path)

export class OpenApi {
  private app: INestApplication | null = null
  private made: OpenAPIObject | null = null

  constructor(private readonly service: string) {}

  /** Called once by the frame, when the application exists. */
  describe(app: INestApplication): void {
    this.app = app
  }

  /** The document; made once, as routes do not change. */
  document(): OpenAPIObject {
    if (this.app === null) throw new Error('the application is not made yet')
    return (this.made ??= documentOf(this.app, this.service))
  }
}

function documentOf(app: INestApplication, service: string): OpenAPIObject {
  const base = new DocumentBuilder().setTitle(`Stepcast ${service}`).setVersion('1').addBearerAuth().build()
  const document = SwaggerModule.createDocument(app, base, { operationIdFactory: (_controller, method) => method })
  for (const path of Object.keys(document.paths)) if (isProbe(path)) delete document.paths[path]
  for (const { method, path, scopes } of routesOf(app)) {
    const operations = document.paths[path.replaceAll(/:(\w+)/g, '{$1}')] as Record<string, Operation> | undefined
    const operation = operations?.[method.toLowerCase()]
    if (operation === undefined || scopes === null) continue
    operation['x-stepcast-scopes'] = scopes
    if (!scopes.includes('public')) operation.security = [{ bearer: [] }]
  }
  return document
}
