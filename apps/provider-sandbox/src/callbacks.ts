// Status callbacks of one message: in order, unless a fault says otherwise.
import type { ProviderName } from './arrivals'
import type { CallbackFault, Faults } from './faults'
import type { Product, ProductCall, ReportAnswer } from './product'

const lateMs = 30_000
const reorderedMs = 1_000
const reported: ReportAnswer = { kind: 'reported' }

/** The callbacks of one accepted message. */
export class Callbacks {
  private readonly fault: CallbackFault | null
  private tail: Promise<unknown> = Promise.resolve()
  private heldBack: ProductCall[] = []
  private hasProgress = false

  constructor(
    private readonly product: Product,
    faults: Faults,
    provider: ProviderName,
  ) {
    this.fault = faults.strikeCallbacks(provider)
  }

  /** Callbacks on the way, such as `queued`: one try each, as their loss changes nothing. */
  progress(calls: readonly ProductCall[]): void {
    this.hasProgress = true
    if (this.fault?.mode === 'reordered-callbacks') {
      this.heldBack.push(...calls)
      // Where no last one comes, they come by themselves.
      void this.product.pause(this.fault.delayMs ?? reorderedMs * 3).then(() => this.sendHeldBack())
      return
    }
    for (const call of calls) void this.inOrder(call)
  }

  /** The last callback. Where it is late on purpose, the answer comes before it. */
  async last(call: ProductCall): Promise<ReportAnswer> {
    switch (this.fault?.mode) {
      case 'late-callbacks':
        void this.inOrder(call)
        return reported
      case 'reordered-callbacks':
        if (this.hasProgress) return this.beforeHeldBack(call)
        void this.product
          .pause(this.fault.delayMs ?? reorderedMs)
          .then((goesOn) => (goesOn ? this.product.callUntilTaken(() => this.product.call(call)) : reported))
        return reported
      case 'duplicate-callbacks':
      case undefined:
        return this.inOrder(call)
    }
  }

  private inOrder(call: ProductCall): Promise<ReportAnswer> {
    const sent = this.tail.then(() => this.send(call))
    this.tail = sent
    return sent
  }

  private async send(call: ProductCall): Promise<ReportAnswer> {
    if (this.fault?.mode === 'late-callbacks' && !(await this.product.pause(this.fault.delayMs ?? lateMs))) return reported
    if (this.fault?.mode !== 'duplicate-callbacks') return this.product.call(call)
    const [first] = await Promise.all([this.product.call(call), this.product.call(call)])
    return first
  }

  private async beforeHeldBack(call: ProductCall): Promise<ReportAnswer> {
    const answer = await this.product.call(call)
    await this.sendHeldBack()
    return answer
  }

  private async sendHeldBack(): Promise<void> {
    for (let call = this.heldBack.pop(); call !== undefined; call = this.heldBack.pop()) await this.product.call(call)
  }
}
