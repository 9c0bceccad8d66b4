// The TLS address as a part of the service: it begins with it and ends with it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common'
import type { HttpAdapterHost } from '@nestjs/core'
import type { Env } from '@stepcast/service'
import { Apns } from './apns'
import { certificateOf } from './certificate'
import { Fcm } from './fcm'
import { Http2Server } from './http2Server'

/** Listens on SANDBOX_TLS_PORT of HOST (any free port unless given). */
export class TlsAddress implements OnApplicationBootstrap, OnApplicationShutdown {
  private server: Http2Server | null = null
  private pem = ''

  constructor(
    private readonly env: Env,
    private readonly apns: Apns,
    private readonly fcm: Fcm,
    private readonly adapter: HttpAdapterHost,
  ) {}

  /** The port it listens on; 0 before it does. */
  get port(): number {
    return this.server?.port ?? 0
  }

  /** The certificate, PEM. */
  get certificate(): string {
    return this.pem
  }

  async onApplicationBootstrap(): Promise<void> {
    const certificate = await certificateOf(this.env)
    const http1 = this.adapter.httpAdapter.getInstance<(request: IncomingMessage, response: ServerResponse) => void>()
    const server = new Http2Server({ certificate, apns: this.apns, fcm: this.fcm, http1 })
    const port = Number(this.env.SANDBOX_TLS_PORT || 0)
    try {
      await server.listen(port, this.env.HOST || '127.0.0.1')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      throw new Error(`SANDBOX_TLS_PORT ${port} is in use by another process: choose another or stop that one`, { cause: error })
    }
    this.server = server
    this.pem = certificate.cert
  }

  async onApplicationShutdown(): Promise<void> {
    await this.server?.close()
  }
}
