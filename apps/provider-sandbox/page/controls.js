// The levers: faults of the providers, and how simulated people behave.
import { byId, call, el, toast } from './dom.js'

const providerNames = { fcm: 'Firebase (FCM)', apns: 'Apple (APNs)', twilio: 'Twilio (SMS)', solapi: 'Solapi (KakaoTalk)' }
const meanings = {
  429: 'Refused: too many requests.',
  500: 'Refused: the provider is broken.',
  hang: 'Never answered; nothing reaches the phone.',
  slow: 'Answered as usual, but late (2 s unless told).',
  'accept-then-reset': 'Taken, then the connection breaks: the sender cannot know.',
  reject: 'Refused for good.',
  goaway: 'The connection ends before the request: nothing was taken.',
  'duplicate-callbacks': 'Every status callback comes twice.',
  'reordered-callbacks': 'Status callbacks come in the wrong order.',
  'late-callbacks': 'Status callbacks come late (30 s unless told).',
}
const modeNames = { 429: '429 too many requests', 500: '500 provider broken' }
const hasDelay = (mode) => ['slow', 'reordered-callbacks', 'late-callbacks'].includes(mode)
const number = (id) => (byId(id).value === '' ? undefined : Number(byId(id).value))
const options = (select, values, label = (value) => value) =>
  select.replaceChildren(...values.map((value) => el('option', { value, textContent: label(value) })))

/** Fills and follows the fault panel. */
export async function faultPanel({ providers, requestFaults, callbackFaults }) {
  const provider = byId('fault-provider')
  const mode = byId('fault-mode')
  options(provider, providers, (name) => providerNames[name] ?? name)
  const modes = () => (['twilio', 'solapi'].includes(provider.value) ? [...requestFaults, ...callbackFaults] : requestFaults)
  const explain = () => {
    byId('fault-meaning').textContent = meanings[mode.value] ?? ''
    byId('fault-delay-label').hidden = !hasDelay(mode.value)
    byId('fault-retry-label').hidden = mode.value !== '429'
    byId('fault-rate-out').textContent = `${byId('fault-rate').value} %`
  }
  const offer = () => {
    options(mode, modes(), (name) => modeNames[name] ?? name)
    explain()
  }
  provider.addEventListener('change', offer)
  mode.addEventListener('change', explain)
  byId('fault-rate').addEventListener('input', explain)
  offer()

  byId('fault').addEventListener('submit', async (event) => {
    event.preventDefault()
    await told(() =>
      call('POST', '/faults', {
        provider: provider.value,
        mode: mode.value,
        rate: Number(byId('fault-rate').value) / 100,
        count: number('fault-count'),
        ...(hasDelay(mode.value) ? { delayMs: number('fault-delay') } : {}),
        ...(mode.value === '429' ? { retryAfterS: number('fault-retry') } : {}),
      }),
    )
    await listFaults()
  })
  byId('clear-faults').addEventListener('click', async () => {
    await told(() => call('DELETE', '/faults'))
    await listFaults()
  })
  await listFaults()
  // Counted faults end by themselves.
  setInterval(() => document.visibilityState === 'visible' && listFaults().catch(() => undefined), 3_000)
}

async function listFaults() {
  const { items } = await call('GET', '/faults')
  const line = ({ provider, mode, rate, count }) =>
    el(
      'li',
      {},
      el('span', { textContent: `${providerNames[provider]}: ${mode}` }),
      el('span', { textContent: `${Math.round(rate * 100)} %${count === undefined ? '' : `, ${count} left`}` }),
    )
  byId('faults').replaceChildren(
    ...(items.length > 0 ? items.map(line) : [el('li', { className: 'none', textContent: 'All providers work as they should.' })]),
  )
  byId('clear-faults').hidden = items.length === 0
}

const channelNames = { all: 'every channel', push: 'push', sms: 'SMS', kakao: 'KakaoTalk' }

/** Fills and follows the sliders. */
export function behaviourPanel({ workspaces }) {
  const workspace = byId('behaviour-workspace')
  const channel = byId('behaviour-channel')
  const form = byId('behaviour')
  form.hidden = workspaces.length === 0
  if (workspaces.length === 0) return
  const held = new Map(
    workspaces.map((one) => [one.workspaceId, { behaviour: { ...one.behaviour }, channels: structuredClone(one.channels) }]),
  )
  options(
    workspace,
    workspaces.map(({ workspaceId }) => workspaceId),
  )
  options(channel, Object.keys(channelNames), (name) => channelNames[name])

  const percent = (id) => Number(byId(id).value) / 100
  const label = () => {
    for (const id of ['delivered', 'clicked', 'preview']) byId(`${id}-out`).textContent = `${byId(id).value} %`
    byId('delay-out').textContent = `${byId('delay').value} s`
  }
  const fill = () => {
    const { behaviour, channels } = held.get(workspace.value)
    const { deliveredRate, clickedRate, delayMs, previewRate } = { ...behaviour, ...channels[channel.value] }
    byId('delivered').value = Math.round(deliveredRate * 100)
    byId('clicked').value = Math.round(clickedRate * 100)
    byId('preview').value = Math.round(previewRate * 100)
    byId('delay').value = Math.round(delayMs / 1_000)
    byId('preview-label').hidden = !['all', 'sms'].includes(channel.value)
    label()
  }
  workspace.addEventListener('change', fill)
  channel.addEventListener('change', fill)
  form.addEventListener('input', (event) => event.target.type === 'range' && label())
  form.addEventListener('change', async (event) => {
    if (event.target.type !== 'range') return
    const own = held.get(workspace.value)
    const set = {
      deliveredRate: percent('delivered'),
      clickedRate: percent('clicked'),
      previewRate: percent('preview'),
      delayMs: Number(byId('delay').value) * 1_000,
    }
    if (channel.value === 'all') own.behaviour = set
    else own.channels[channel.value] = set
    await told(() => call('PUT', `/phones/${encodeURIComponent(workspace.value)}/behaviour`, own))
  })
  form.addEventListener('submit', (event) => event.preventDefault())
  fill()
}

async function told(work) {
  try {
    await work()
  } catch (error) {
    toast(error.message, true)
  }
}
