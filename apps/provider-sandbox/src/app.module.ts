// The sandbox's parts, put together.
import { Module, type OnApplicationShutdown } from '@nestjs/common'
import { ENV, type Env } from '@stepcast/service'
import { Arrivals } from './arrivals'
import { AccessTokens } from './fcm'
import { FcmController } from './fcm.controller'
import { Faults } from './faults'
import { Phones } from './phones'
import { SandboxController } from './sandbox.controller'

@Module({
  controllers: [FcmController, SandboxController],
  providers: [
    { provide: Arrivals, useFactory: (env: Env) => new Arrivals(env.SANDBOX_LOG_FILE || null), inject: [ENV] },
    { provide: Faults, useFactory: () => new Faults() },
    {
      provide: Phones,
      useFactory: (env: Env) => new Phones((env.STEPCAST_PUBLIC_URL || 'http://localhost:8080').replace(/\/+$/, '')),
      inject: [ENV],
    },
    { provide: AccessTokens, useFactory: () => new AccessTokens() },
  ],
})
export class AppModule implements OnApplicationShutdown {
  constructor(
    private readonly arrivals: Arrivals,
    private readonly phones: Phones,
  ) {}

  onApplicationShutdown(): void {
    this.phones.stop()
    this.arrivals.close()
  }
}
