// The one thing to make: a client of one user.
import { Connection } from './connection'
import { Feed } from './feed'
import { Push } from './push'
import { Receipts } from './receipts'

/** Where Stepcast is and who the user is. */
export interface StepcastClientOptions {
  /** Stepcast's address, such as `https://stepcast.example`; empty in a page that Stepcast's own address serves. */
  readonly url: string
  /**
   * A user token, or how to get one: the function is called at first use and again whenever the token is no longer taken.
   * Your server signs tokens (JWT, HS256, `kid` = the signing key's, `sub` = userId, `exp` at most 24 h away); its secret stays there.
   */
  readonly token: string | (() => Promise<string>)
  /** On a server, with an API key of scope `send` as token: the user it acts for. */
  readonly onBehalfOf?: string
  /** Instead of the platform's own. */
  readonly fetch?: typeof globalThis.fetch
}

/** The feed and the receipts of one user. */
export class StepcastClient {
  /** The in-app feed. */
  readonly feed: Feed
  /** Receipts of push messages. */
  readonly push: Push

  constructor(options: StepcastClientOptions) {
    const connection = new Connection(options)
    const receipts = new Receipts(connection)
    this.feed = new Feed(connection, receipts)
    this.push = new Push(receipts)
  }
}
