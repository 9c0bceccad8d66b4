// Small words for the page: elements from text only (nothing is ever parsed as HTML), calls to the sandbox, notes to the reader.

/** An element with properties, classes and children; strings become text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('aria-')) element.setAttribute(name, value)
    else element[name] = value
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

export const byId = (id) => document.getElementById(id)

/** The time of day of an RFC 3339 time. */
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** Calls the sandbox; throws with what it says. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  const parsed = text === '' ? null : JSON.parse(text)
  if (answer.ok) return parsed
  const fields = (parsed?.errors ?? []).map(({ path: field, message }) => `${field} ${message}`).join('; ')
  throw new Error(fields || parsed?.detail || parsed?.title || `${method} ${path} answered ${answer.status}`)
}

// Long enough to read two lines.
const toastMs = 5_000

/** A note that goes by itself. */
export function toast(text, isBad = false) {
  const note = el('p', { className: isBad ? 'toast bad' : 'toast', textContent: text })
  byId('toasts').append(note)
  setTimeout(() => note.remove(), toastMs)
}

/** A button that does something and tells how it went; it cannot be pressed twice meanwhile. */
export function action(label, done, work, properties = {}) {
  const button = el('button', { type: 'button', textContent: label, title: label, ...properties })
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      await work()
      if (done) toast(done)
    } catch (error) {
      toast(error.message, true)
    }
    button.disabled = false
  })
  return button
}
