// The OpenAPI document of a service, made from its controllers and their zod schemas when first asked for.
import type { INestApplication } from '@nestjs/common'
import type { OpenAPIObject } from '@nestjs/swagger'
import { z } from 'zod'
import { type Route, routesOf } from './scope'

interface Operation {
  summary?: string
  description?: string
  requestBody?: object
  security?: object[]
  responses: Record<string, { description?: string; content?: Record<string, { schema: object }> }>
  'x-stepcast-scopes'?: readonly string[]
}

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string', description: 'JSON pointer' }, message: { type: 'string' } },
      },
    },
  },
} as const

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
  // Loaded when first asked for: it costs 0.3 s of CPU, a fifth of a service's start.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { DocumentBuilder, SwaggerModule } = require('@nestjs/swagger') as typeof import('@nestjs/swagger')
  const base = new DocumentBuilder().setTitle(`Stepcast ${service}`).setVersion('1').addBearerAuth().build()
  const document = SwaggerModule.createDocument(app, base, { operationIdFactory: (_controller, method) => method })
  const documented: OpenAPIObject['paths'] = {}
  for (const route of routesOf(app)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    const method = route.method.toLowerCase()
    const operation = (document.paths[path] as Record<string, Operation> | undefined)?.[method]
    if (operation === undefined || route.description === null) continue
    ;(documented[path] ??= {} as never)[method as 'get'] = described(operation, route) as never
  }
  document.paths = documented
  document.components = { ...document.components, schemas: { ...document.components?.schemas, Problem: problem as never } }
  return document
}

function described(operation: Operation, { scopes, description }: Route): Operation {
  const [status = '200', success] = Object.entries(operation.responses)[0] ?? []
  return {
    ...operation,
    ...(description
      ? { summary: description.summary, ...(description.description === undefined ? {} : { description: description.description }) }
      : {}),
    ...(description?.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(description.body, 'input') } } } }),
    ...(scopes === null ? {} : { 'x-stepcast-scopes': scopes }),
    ...(scopes?.includes('public') ? {} : { security: [{ bearer: [] }] }),
    responses: {
      ...operation.responses,
      ...(description?.answer === undefined
        ? {}
        : {
            [status]: {
              ...success,
              description: success?.description ?? '',
              content: { 'application/json': { schema: schemaOf(description.answer) } },
            },
          }),
      default: {
        description: 'A problem (RFC 9457)',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

function schemaOf(given: z.ZodType, io: 'input' | 'output' = 'output'): object {
  const { $schema: _, ...schema } = z.toJSONSchema(given, {
    target: 'openapi-3.0',
    io,
    unrepresentable: 'any',
    reused: 'inline',
  })
  return schema
}
