// The sandbox's parts, put together.
import { Module, type BeforeApplicationShutdown, type OnApplicationShutdown } from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import { ENV, type Env } from '@stepcast/service'
import { Apns } from './apns'
import { Arrivals } from './arrivals'
import { Desk } from './desk'
import { Faults } from './faults'
import { Fcm } from './fcm'
import { FcmController } from './fcm.controller'
import { Live } from './live'
import { PageController } from './page.controller'
import { People } from './people'
import { Phones } from './phones'
import { productUrlOf, wayToProduct } from './productUrl'
import { Product } from './product'
import { SandboxController } from './sandbox.controller'
import { shown } from './shown'
import { Solapi } from './solapi'
import { SolapiController } from './solapi.controller'
import { TlsAddress } from './tlsAddress'
import { Twilio } from './twilio'
import { TwilioController } from './twilio.controller'

@Module({
  controllers: [FcmController, TwilioController, SolapiController, SandboxController, PageController],
  providers: [
    { provide: Arrivals, useFactory: (env: Env) => new Arrivals(env.SANDBOX_LOG_FILE || null), inject: [ENV] },
    { provide: Faults, useFactory: () => new Faults() },
    { provide: Desk, useFactory: (arrivals: Arrivals, faults: Faults) => new Desk(arrivals, faults), inject: [Arrivals, Faults] },
    { provide: Product, useFactory: (env: Env) => new Product(productUrlOf(env), wayToProduct(env)), inject: [ENV] },
    { provide: Phones, useFactory: (product: Product) => new Phones(product), inject: [Product] },
    { provide: Fcm, useFactory: (desk: Desk, phones: Phones) => new Fcm(desk, phones), inject: [Desk, Phones] },
    { provide: Apns, useFactory: (desk: Desk, phones: Phones) => new Apns(desk, phones), inject: [Desk, Phones] },
    {
      provide: Twilio,
      useFactory: (desk: Desk, phones: Phones, product: Product, faults: Faults) => new Twilio(desk, phones, product, faults),
      inject: [Desk, Phones, Product, Faults],
    },
    {
      provide: Solapi,
      useFactory: (desk: Desk, phones: Phones, product: Product, faults: Faults) => new Solapi(desk, phones, product, faults),
      inject: [Desk, Phones, Product, Faults],
    },
    { provide: Live, useFactory: (product: Product) => new Live((message) => shown(message, product)), inject: [Product] },
    { provide: People, useFactory: (product: Product, phones: Phones) => new People(product, phones), inject: [Product, Phones] },
    {
      provide: TlsAddress,
      useFactory: (env: Env, apns: Apns, fcm: Fcm, adapter: HttpAdapterHost) => new TlsAddress(env, apns, fcm, adapter),
      inject: [ENV, Apns, Fcm, HttpAdapterHost],
    },
  ],
})
export class AppModule implements BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    private readonly arrivals: Arrivals,
    private readonly product: Product,
    private readonly live: Live,
    phones: Phones,
    people: People,
  ) {
    phones.onChange = (message) => {
      if (!live.isWatched) return
      people.identify(message.messageId, message.workspaceId, message.userId)
      live.changed(message)
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.live.stop()
    await this.product.stop()
  }

  onApplicationShutdown(): void {
    this.arrivals.close()
  }
}
