// What a log may say of an error: where it happened, not with which values.
import { DatabaseError } from 'pg'
import { loggedError } from './log'

it('an error of PostgreSQL is told with its place and without the values it quotes', () => {
  const error = Object.assign(new DatabaseError('duplicate key value violates unique constraint "devices_token"', 1, 'error'), {
    code: '23505',
    schema: 'people_svc',
    table: 'devices',
    constraint: 'devices_token',
    detail: 'Key (workspace_id, platform, token)=(demo, fcm, the-token-of-a-phone) already exists.',
    where: 'JSON data, line 1: {"phoneNumber":"+821012345678"}',
    internalQuery: "SELECT '+821012345678'",
  })
  const logged = loggedError(error)
  expect(logged).toMatchObject({ message: error.message, stack: error.stack, code: '23505', table: 'devices', constraint: 'devices_token' })
  expect(JSON.stringify(logged)).not.toMatch(/the-token-of-a-phone|821012345678/)
})

it('an error of PostgreSQL that quotes the value in its message is told by its code', () => {
  for (const quoted of ['+821012345678', 'two\n    at lines +821012345678 (of it)\nend']) {
    const error = Object.assign(new DatabaseError(`invalid input syntax for type uuid: "${quoted}"`, 1, 'error'), {
      code: '22P02',
      routine: 'string_to_uuid',
    })
    const logged = loggedError(error)
    expect(logged).toMatchObject({
      message: 'SQLSTATE 22P02',
      code: '22P02',
      routine: 'string_to_uuid',
      stack: expect.stringContaining('log.spec.ts'),
    })
    expect(JSON.stringify(logged)).not.toContain('821012345678')
  }
})

it('an error of an entity manager is told without its parameters', () => {
  const asked = { query: 'SELECT $1', parameters: ['+821012345678'], driverError: { detail: '+821012345678' } }
  const error = Object.assign(new Error('connection lost'), asked)
  expect(JSON.stringify(loggedError(error))).not.toContain('821012345678')
})

it('what is no error is told by its kind only', () => expect(loggedError('+821012345678')).toEqual({ message: 'string' }))
