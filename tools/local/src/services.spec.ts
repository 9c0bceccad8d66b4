// Which processes a system consists of.
import { layOut, serviceKinds, serviceUrls } from './services'

const portOf = (): ((listens: 'http' | 'sandbox' | undefined) => Promise<number>) => {
  let next = 100
  return async (listens) => (listens === 'http' ? 8080 : listens === 'sandbox' ? 8091 : next++)
}
const all = serviceKinds.map(({ name }) => name)

describe('the services', () => {
  it('run once each, the gateway and the sandbox where the contract says', async () => {
    const laidOut = await layOut(all, {}, portOf())
    expect(laidOut.map(({ name }) => name)).toEqual(all)
    expect(laidOut.find(({ name }) => name === 'gateway')?.port).toBe(8080)
    expect(laidOut.find(({ name }) => name === 'provider-sandbox')?.port).toBe(8091)
  })

  it('run several times when asked, and the others know the first', async () => {
    const laidOut = await layOut(['orchestrator', 'send-svc'], { orchestrator: 2 }, portOf())
    expect(laidOut.map(({ name, port }) => [name, port])).toEqual([
      ['send-svc', 100],
      ['orchestrator', 101],
      ['orchestrator-2', 102],
    ])
    expect(serviceUrls(laidOut)).toEqual({ SEND_SVC_URL: 'http://127.0.0.1:100', ORCHESTRATOR_URL: 'http://127.0.0.1:101' })
  })

  it('do not run when there is no such thing, or only one address for two', async () => {
    await expect(layOut(['mail-svc'], {}, portOf())).rejects.toThrow('There is no service mail-svc.')
    await expect(layOut(all, { gateway: 2 }, portOf())).rejects.toThrow('gateway has one address and cannot run 2 times.')
  })
})
