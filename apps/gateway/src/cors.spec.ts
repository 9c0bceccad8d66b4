// What a browser lets pages of other origins call.
import { Controller, Delete, Get, Module, Post, type INestApplication } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { corsOfUsers } from './cors'

@Controller('v1')
class Everything {
  @Get('*rest')
  read(): object {
    return {}
  }

  @Post('*rest')
  write(): object {
    return {}
  }

  @Delete('*rest')
  remove(): object {
    return {}
  }
}

@Module({ controllers: [Everything] })
class Whole {}

let app: INestApplication
let url: string

beforeAll(async () => {
  app = await NestFactory.create(Whole, new ExpressAdapter(), { logger: false })
  app.enableCors(corsOfUsers)
  await app.listen(0, '127.0.0.1')
  url = await app.getUrl()
})
afterAll(() => app.close())

const origin = 'https://shop.example'
const preflight = (path: string): Promise<Response> =>
  fetch(url + path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,last-event-id' },
  })

it.each(['/v1/feed', '/v1/feed?limit=1', '/v1/feed/stream', '/v1/feed/m.1.in_app/viewed', '/v1/push/m.2.push/clicked'])(
  'any page may call %s with a user token',
  async (path) => {
    const asked = await preflight(path)
    expect(asked.status).toBe(204)
    expect(Object.fromEntries([...asked.headers].filter(([name]) => name.startsWith('access-control')))).toEqual({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET,POST,DELETE',
      'access-control-allow-headers': 'authorization,content-type,last-event-id,idempotency-key',
      'access-control-expose-headers': 'retry-after,request-id',
      'access-control-max-age': '3600',
    })
    const answer = await fetch(url + path, { headers: { origin } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
  },
)

it.each(['/v1/sends', '/v1/users/ada', '/v1/workspace/api-keys', '/v1/feedback', '/v1/push/unknown', '/v1/push/unknown/m/delivered'])(
  'no page may call %s',
  async (path) => {
    expect((await preflight(path)).headers.get('access-control-allow-origin')).toBeNull()
    expect((await fetch(url + path, { headers: { origin } })).headers.get('access-control-allow-origin')).toBeNull()
  },
)
