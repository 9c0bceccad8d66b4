// The page: who is looked at, what their phone holds, what their app shows, and the levers.
import { behaviourPanel, faultPanel } from './controls.js'
import { byId, call, el, toast } from './dom.js'
import { Feed } from './feed.js'
import { ownerOf, Phones } from './phones.js'

const about = await call('GET', '/about')
const feed = new Feed(about.productUrl)
const phones = new Phones(() => drawPeople())
const people = new Map()
let selected = null
let drawnPeople = ''

function drawPeople() {
  const counts = phones.owners()
  for (const message of phones.messages.values()) if (message.userId !== null) people.set(ownerOf(message), message)
  const others = [...people.keys()].filter((owner) => !counts.has(owner))
  const owners = [...counts.keys(), ...others]
  const many = new Set([...people.values()].map(({ workspaceId }) => workspaceId)).size > 1
  const label = (owner) =>
    owner.startsWith('number ') ? owner.slice('number '.length) : many ? owner : owner.slice(owner.indexOf('/') + 1)
  const rows = [[null, 'Everyone', phones.messages.size], ...owners.map((owner) => [owner, label(owner), counts.get(owner) ?? 0])]
  const text = JSON.stringify([rows, selected])
  if (text === drawnPeople) return
  drawnPeople = text
  byId('people').replaceChildren(
    ...rows.map(([owner, name, count]) => {
      const button = el(
        'button',
        { type: 'button', title: name, 'aria-pressed': String(owner === selected) },
        el('span', { className: 'who', textContent: name }),
        el('span', { className: 'count', textContent: count > 0 ? String(count) : '' }),
      )
      button.addEventListener('click', () => select(owner))
      return el('li', {}, button)
    }),
  )
}

function select(owner) {
  selected = owner
  byId('phone-title').textContent = owner === null ? 'Phones of everyone' : 'Phone'
  phones.select(owner)
  const person = people.get(owner) ?? null
  void feed.show(person === null ? null : { workspaceId: person.workspaceId, userId: person.userId })
  if (person !== null)
    void call('GET', `/phones?${new URLSearchParams({ workspaceId: person.workspaceId, userId: person.userId })}`).then(takeAll)
}

const takeAll = ({ items }) => items.toReversed().forEach((message) => phones.take(message))

async function learnPeople() {
  const { items } = await call('GET', '/people')
  for (const person of items) people.set(`${person.workspaceId}/${person.userId}`, person)
  drawPeople()
}

/** Whom a text names: somebody known by userId, or workspace/userId; else a user of the first workspace. Null: no workspace is registered. */
function personOf(text) {
  const known = [...people.values()].find(({ workspaceId, userId }) => text === userId || text === `${workspaceId}/${userId}`)
  if (known !== undefined) return known
  const workspaces = about.workspaces.map(({ workspaceId }) => workspaceId)
  const named = workspaces.find((workspaceId) => text.startsWith(`${workspaceId}/`))
  if (named !== undefined) return { workspaceId: named, userId: text.slice(named.length + 1) }
  return workspaces.length === 0 ? null : { workspaceId: workspaces[0], userId: text }
}

byId('find').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = byId('find-user').value.trim()
  if (text === '') return
  const person = personOf(text)
  if (person === null) return toast('No workspace is registered here yet: POST /phones.', true)
  const owner = `${person.workspaceId}/${person.userId}`
  people.set(owner, person)
  select(owner)
})

function follow() {
  const state = byId('live')
  const live = new EventSource('/live')
  const say = (word, className) => {
    state.textContent = word
    state.className = `live ${className}`
  }
  live.addEventListener('open', async () => {
    say('live', 'on')
    takeAll(await call('GET', '/phones?limit=200'))
  })
  live.addEventListener('message', ({ data }) => phones.take(JSON.parse(data)))
  live.addEventListener('error', () => say('connection lost, trying again…', 'off'))
}

select(null)
follow()
behaviourPanel(about)
await faultPanel(about)
await learnPeople()
// New people appear with their first in-app message, before any phone has one.
setInterval(() => document.visibilityState === 'visible' && learnPeople().catch(() => undefined), 5_000)
