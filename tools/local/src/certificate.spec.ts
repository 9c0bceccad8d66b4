// The sandbox's certificate is trusted by name, kept, and renewed in time.
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, TLSSocket } from 'node:tls'
import { sandboxCertificate } from './certificate'

let home: string
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'stepcast-certificate-'))))
afterEach(() => {
  jest.useRealTimers()
  rmSync(home, { recursive: true })
})

it('makes a connection to localhost that whoever trusts it believes', async () => {
  const { certFile, keyFile } = await sandboxCertificate(home)
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)]
  const server = createServer((socket) => new TLSSocket(socket, { isServer: true, cert, key }).on('error', () => {})).listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const socket = connect({ host: 'localhost', port, ca: cert })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  expect(socket.authorized).toBe(true)
  socket.destroy()
  server.close()
})

it('is the same until a month before its end', async () => {
  const { certFile } = await sandboxCertificate(home)
  const first = new X509Certificate(readFileSync(certFile))
  await sandboxCertificate(home)
  expect(new X509Certificate(readFileSync(certFile)).serialNumber).toBe(first.serialNumber)
  const now = Date.parse(first.validTo) - 29 * 24 * 3_600_000
  jest.useFakeTimers({ now, doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'setTimeout'] })
  await sandboxCertificate(home)
  expect(new X509Certificate(readFileSync(certFile)).serialNumber).not.toBe(first.serialNumber)
})

it('is good for further names, and made anew for one that it was not made for', async () => {
  const read = (file: string): X509Certificate => new X509Certificate(readFileSync(file))
  const { certFile } = await sandboxCertificate(home)
  const { serialNumber } = read(certFile)
  await sandboxCertificate(home, ['provider-sandbox'])
  expect(read(certFile).checkHost('provider-sandbox')).toBe('provider-sandbox')
  expect(read(certFile).checkHost('localhost')).toBe('localhost')
  expect(read(certFile).serialNumber).not.toBe(serialNumber)
  const second = read(certFile).serialNumber
  await sandboxCertificate(home, ['provider-sandbox'])
  expect(read(certFile).serialNumber).toBe(second)
})
