import { isStream } from './services'

it.each(['/v1/feed/stream', '/v1/feed/stream/', '/v1/Feed/STREAM'])('%s stays open, as the service reads it', (path) =>
  expect(isStream(path)).toBe(true),
)
it.each(['/v1/feed', '/v1/feed/streams', '/v1/feed/stream/x', '/v2/feed/stream'])('%s does not', (path) =>
  expect(isStream(path)).toBe(false),
)
