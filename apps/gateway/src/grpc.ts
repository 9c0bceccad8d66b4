// The gRPC address: health and reflection, until its services exist.
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath } from 'grpc-health-check'

export interface GrpcServer {
  readonly port: number
  /** Tells those who watch the health of the whole (service name empty). */
  setReady(ready: boolean): void
  stop(): Promise<void>
}

type Check = (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => void

/**
 * Listens; rejects naming GRPC_PORT when it is in use.
 * @param refresh awaited before a health check is answered; calls {@link GrpcServer.setReady}.
 */
export async function startGrpc(host: string, port: number, refresh: () => Promise<unknown>): Promise<GrpcServer> {
  const health = new HealthImplementation({ '': 'NOT_SERVING' })
  const server = new Server()
  health.addToServer({
    addService: (definition, implementation) => {
      const check = implementation.check as Check
      const asked: Check = (call, answer) => void refresh().then(() => check(call, answer))
      server.addService(definition, { ...implementation, check: asked })
    },
  })
  new ReflectionService(loadSync(protoPath)).addToServer(server)
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, found) => {
      if (error === null) resolve(found)
      else reject(new Error(`GRPC_PORT ${port} cannot be used: ${error.message}`))
    })
  })
  return {
    port: bound,
    setReady: (ready) => health.setStatus('', ready ? 'SERVING' : 'NOT_SERVING'),
    stop: () =>
      new Promise((resolve) => {
        health.setStatus('', 'NOT_SERVING')
        // A client watching health would hold a graceful shutdown up: calls get 2 s.
        const force = setTimeout(() => {
          server.forceShutdown()
          resolve()
        }, 2_000)
        server.tryShutdown(() => {
          clearTimeout(force)
          resolve()
        })
      }),
  }
}
