// The phones: messages of one person or of everyone, newest on top, each to be received and tapped by hand.
import { action, byId, call, clock, el } from './dom.js'

const names = { push: 'Push', sms: 'SMS', kakao: 'KakaoTalk' }
// What fits a glance; older ones are asked for when a person is selected.
const maxHeld = 500
const maxDrawn = 60

/** Whose phone it is: a user, or a number nobody is known for. */
export const ownerOf = ({ workspaceId, userId, to }) => (userId === null ? `number ${to[0]}` : `${workspaceId}/${userId}`)

// On everyone's phones it must be seen whose this one is.
const whoseOf = ({ userId, to }) => (userId === null ? to.join(', ') : `${userId} · ${to.join(', ')}`)

/** The middle of the page. */
export class Phones {
  messages = new Map()
  selected = null
  drawn = new Map()

  constructor(onOwners) {
    this.onOwners = onOwners
    this.frame = null
  }

  /** Takes a message that is new or changed. */
  take(message) {
    this.messages.delete(message.messageId)
    this.messages.set(message.messageId, message)
    if (this.messages.size > maxHeld) this.messages.delete(this.messages.keys().next().value)
    this.frame ??= requestAnimationFrame(() => this.draw())
  }

  /** Shows one owner's messages; null: everyone's. */
  select(owner) {
    this.selected = owner
    this.draw()
  }

  /** How many messages each owner has here; who got the newest comes first. */
  owners() {
    const counts = new Map()
    for (const message of this.newestFirst()) counts.set(ownerOf(message), (counts.get(ownerOf(message)) ?? 0) + 1)
    return counts
  }

  newestFirst() {
    return [...this.messages.values()].sort((a, b) => b.position - a.position)
  }

  draw() {
    this.frame = null
    this.onOwners()
    const shown = this.newestFirst()
      .filter((message) => this.selected === null || ownerOf(message) === this.selected)
      .slice(0, maxDrawn)
    const before = this.drawn
    this.drawn = new Map(shown.map((message) => [message.messageId, this.cardOf(message, before.get(message.messageId))]))
    const cards = [...this.drawn.values()].map(({ card }) => card)
    const list = byId('messages')
    if (cards.length === 0) return list.replaceChildren(this.empty())
    // Untouched cards stay where they are, so that a button under the finger stays one.
    for (const child of [...list.children]) if (!cards.includes(child)) child.remove()
    cards.forEach((card, index) => {
      if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null)
    })
  }

  cardOf(message, before) {
    const text = JSON.stringify(message)
    if (before?.text === text) return before
    const card = el('li', { className: `message ${message.channel}${before === undefined ? ' new' : ''}` })
    card.append(
      el(
        'div',
        { className: 'meta' },
        el('span', { className: `channel ${message.channel}`, textContent: names[message.channel] }),
        el('span', { className: 'to', textContent: whoseOf(message), title: whoseOf(message) }),
        el('time', { textContent: clock(message.at) }),
      ),
      message.title ? el('p', { className: 'title', textContent: message.title }) : '',
      el('p', { className: 'body', textContent: message.body }),
      message.imageUrl ? el('img', { className: 'picture', src: message.imageUrl, alt: '' }) : '',
      this.states(message),
      this.actions(message),
    )
    return { text, card }
  }

  states({ deliveredAt, clickedAt, failedAt, previews, provider }) {
    return el(
      'div',
      { className: 'states' },
      el('span', { className: 'plain', textContent: provider }),
      deliveredAt ? el('span', { textContent: `delivered ${clock(deliveredAt)}` }) : null,
      clickedAt ? el('span', { textContent: `tapped ${clock(clickedAt)}` }) : null,
      failedAt ? el('span', { className: 'bad', textContent: `failed ${clock(failedAt)}` }) : null,
      previews > 0 ? el('span', { className: 'plain', textContent: 'preview fetched' }) : null,
    )
  }

  actions({ messageId, channel, links }) {
    const path = `/phones/${encodeURIComponent(messageId)}`
    const delivered = action('Delivered', 'The phone has it: reported.', () => call('POST', `${path}/delivered`))
    const tap = (label, link, tracked = true) =>
      action(
        label,
        'Tapped: reported.',
        () => call('POST', `${path}/clicked`, { link }),
        tracked ? {} : { disabled: true, title: 'Leads outside: Stepcast learns nothing of a tap.' },
      )
    const taps =
      channel === 'push'
        ? [action('Tap', 'Tapped: reported.', () => call('POST', `${path}/clicked`))]
        : links.map(({ label, url, tracked }, index) => tap(`Tap ${label || url}`, index, tracked))
    return el('div', { className: 'actions' }, delivered, ...taps)
  }

  empty() {
    if (this.selected !== null) {
      const why = 'Nothing has reached this phone. A message comes here when the steps before it did not do their job.'
      return el('li', { className: 'empty', textContent: why })
    }
    const how = el('p', {}, 'Send one, or run ', el('code', { textContent: 'npm run demo' }), '.')
    return el('li', { className: 'empty' }, el('p', { textContent: 'No message has reached a phone yet.' }), how)
  }
}
