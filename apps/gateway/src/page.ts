// The look of the gateway's two small pages, and the one way text gets into them.

/** Text made safe inside HTML. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[sign]!)

/** A page with a title; `body` is HTML. */
export const htmlPage = (title: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
a { color: var(--accent) } code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow: auto }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0 } summary { padding: .4rem .7rem; cursor: pointer }
details > div { padding: 0 .9rem .6rem } .method { display: inline-block; min-width: 4.2rem; font-weight: 600; color: var(--accent) }
.scopes { float: right; opacity: .7; font-size: .85em }
table { border-collapse: collapse } td { padding: .15rem .9rem .15rem 0; vertical-align: top }
.bad { color: #b91c1c }
</style></head><body>${body}</body></html>`
