// The in-app feed of one person, through the client package an app would use; every receipt is given by hand.
import { action, byId, call, clock, el } from './dom.js'

export class Feed {
  stop = () => undefined
  items = new Map()
  drawn = new Map()
  client = null
  expiry = 0

  constructor(productUrl) {
    this.productUrl = productUrl
  }

  /** Follows the feed of a person; null: of nobody. */
  async show(person) {
    this.stop()
    this.stop = () => undefined
    this.items.clear()
    this.unread(0)
    this.person = person
    byId('feed-name').textContent = person === null ? 'Nobody selected' : person.userId
    this.draw()
    if (person === null) return this.note('Select a person to see what their app shows.')
    this.note('Opening…')
    try {
      await this.follow(person)
    } catch (error) {
      if (this.person === person) this.note(error.message)
    }
  }

  async follow(person) {
    const { StepcastClient } = await import('/client/index.mjs').catch(() => {
      throw new Error('The client package is not built: npm run build.')
    })
    const path = `/people/${encodeURIComponent(person.workspaceId)}/${encodeURIComponent(person.userId)}/token`
    const token = async () => (await call('GET', path)).token
    // Asked once by itself, so that a missing signing key is said in its own words.
    await token()
    if (this.person !== person) return
    const client = new StepcastClient({ url: this.productUrl, token })
    this.client = client
    const isMine = () => this.person === person
    const stopFollowing = client.feed.follow({
      onOpen: async () => {
        const { items } = await client.feed.list({ limit: 100 })
        if (!isMine()) return
        for (const item of items) this.items.set(item.messageId, item)
        this.unread((await client.feed.unreadCount().catch(() => 0)) || 0)
        this.note(this.items.size === 0 ? 'The feed is empty.' : '')
        this.draw()
      },
      onItem: (item) => {
        if (!isMine()) return
        this.items.set(item.messageId, item)
        this.note('')
        this.draw()
      },
      onHidden: (messageId) => {
        if (!isMine()) return
        this.items.delete(messageId)
        this.draw()
      },
      onUnread: (unread) => isMine() && this.unread(unread),
      onError: (error) => isMine() && this.note(`${error.message}; trying again…`),
    })
    this.stop = stopFollowing
  }

  note(text) {
    byId('feed-note').textContent = text
  }

  unread(count) {
    const badge = byId('feed-unread')
    badge.hidden = count === 0
    badge.textContent = `${count} unread`
  }

  draw() {
    this.dropExpired()
    const items = [...this.items.values()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
    const before = this.drawn
    this.drawn = new Map(items.map((item) => [item.messageId, this.cardOf(item, before.get(item.messageId))]))
    byId('feed').replaceChildren(...[...this.drawn.values()].map(({ card }) => card))
  }

  /** Items leave the feed silently when their time comes, and nobody tells the count of unread ones then: it is asked. */
  dropExpired() {
    clearTimeout(this.expiry)
    const timeOf = ({ expiresAt }) => (expiresAt ? Date.parse(expiresAt) : Infinity)
    for (const item of [...this.items.values()]) if (timeOf(item) <= Date.now()) this.items.delete(item.messageId)
    const next = Math.min(...[...this.items.values()].map(timeOf))
    if (next === Infinity) return
    const { person, client } = this
    const expired = async () => {
      this.draw()
      const unread = await client.feed.unreadCount().catch(() => null)
      if (unread !== null && this.person === person) this.unread(unread)
    }
    // Browsers count no further than 2^31 ms.
    this.expiry = setTimeout(() => this.person === person && void expired(), Math.min(next - Date.now(), 2 ** 31 - 1))
  }

  cardOf(item, before) {
    const text = JSON.stringify(item)
    if (before?.text === text) return before
    const { messageId, category, content, createdAt, deliveredAt, viewedAt, clickedAt } = item
    const { feed } = this.client
    const state = (word, time) => (time ? el('span', { textContent: `${word} ${clock(time)}` }) : null)
    const buttons = (content.buttons ?? []).map(({ id, label }) => action(label, 'Clicked: reported.', () => feed.clicked(messageId, id)))
    const card = el('li', { className: `item${viewedAt ? '' : ' unread'}${before === undefined ? ' new' : ''}` })
    card.append(
      el(
        'div',
        { className: 'meta' },
        el('span', { className: 'to', textContent: category }),
        el('time', { textContent: clock(createdAt) }),
      ),
      el('p', { className: 'title', textContent: content.title ?? '' }),
      el('p', { className: 'body', textContent: content.body ?? '' }),
      content.imageUrl ? el('img', { className: 'picture', src: content.imageUrl, alt: '' }) : '',
      el('div', { className: 'states' }, state('delivered', deliveredAt), state('viewed', viewedAt), state('clicked', clickedAt)),
      el(
        'div',
        { className: 'actions' },
        action('Delivered', 'The app has it: reported.', () => feed.delivered(messageId)),
        action('Viewed', 'Viewed: reported.', () => feed.viewed(messageId)),
        action('Clicked', 'Clicked: reported.', () => feed.clicked(messageId)),
        ...buttons,
        action('Delete', 'Deleted from the feed.', () => feed.hide(messageId)),
      ),
    )
    return { text, card }
  }
}
