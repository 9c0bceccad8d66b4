// What a person sees who opens the address: what this is, whether it works, where to go on.
import { type NotReady, notReadyInWords } from '@stepcast/service'
import { escaped, htmlPage } from './page'

/** @param notReady services and parts that are not ready. */
export const startPage = (notReady: readonly NotReady[]): string =>
  htmlPage(
    'Stepcast',
    `
<h1>Stepcast</h1>
<p>One message to a person over an ordered chain of channels, stopped as soon as it has done its job.</p>
<p>${notReady.length === 0 ? 'Everything is ready.' : `<span class="bad">Not ready: ${escaped(notReadyInWords(notReady))}.</span>`}</p>
<ul>
<li><a href="/docs">The API, to read</a></li>
<li><a href="/v1/openapi.json">The API, as OpenAPI</a></li>
<li><a href="/readyz">Readiness of the whole</a></li>
</ul>`,
  )
