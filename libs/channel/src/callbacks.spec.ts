// Which of what a provider says is ours to look up.
import type { Pool } from 'pg'
import { takeStatuses } from './callbacks'

it('what is no messageId of ours never reaches the database, which refuses some texts and with them all that came in the same call', async () => {
  const query = jest.fn().mockResolvedValue({ rows: [] })
  const told = (messageId: string) => ({ messageId, providerMessageId: null, status: 'delivered' as const, reason: null })
  const by = { workspaceId: 'demo', provider: 'solapi' }
  const ours = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.1.kakao'
  const dispatch = { confirm: jest.fn(), unsubscribes: null }
  await takeStatuses(dispatch, { query } as unknown as Pool, by, [told('no\u0000text'), told('x'.repeat(5_000))])
  expect(query).not.toHaveBeenCalled()
  await takeStatuses(dispatch, { query } as unknown as Pool, by, [told('no\u0000text'), told(ours)])
  expect(query).toHaveBeenCalledWith(expect.anything(), [[ours], 'demo', 'solapi', 'number'])
})
