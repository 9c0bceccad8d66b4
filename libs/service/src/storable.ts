// The one rule for every text that comes in over HTTP, wherever in a body or query it stands: values, names of fields, items of lists.
import { textProblem } from '@stepcast/contracts'
import type { FieldError } from './problem'

/** One step of a JSON pointer (RFC 6901 §3). */
export const pointerStep = (step: PropertyKey): string => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`

/** A value to look at, with the way to it: as a path it is written only when something is wrong. */
interface Place {
  readonly value: unknown
  readonly parent: Place | null
  readonly step: string | number
}

/**
 * What of an input no database can store or would give back as another text: NUL and half surrogate pairs. Depth does not matter: it goes
 * without recursion.
 * @param at JSON pointer of the input within the request.
 */
export function unstorable(input: unknown, at: string, atMost: number): FieldError[] {
  const errors: FieldError[] = []
  const open: Place[] = [{ value: input, parent: null, step: '' }]
  while (open.length > 0 && errors.length < atMost) {
    const place = open.pop()!
    const { value } = place
    if (typeof value === 'string') {
      const problem = textProblem(value)
      if (problem !== null) errors.push({ path: at + pathOf(place), message: problem })
    } else if (Array.isArray(value)) {
      // From behind, so that errors come in the order of the input.
      for (let i = value.length - 1; i >= 0; i--) if (isPart(value[i])) open.push({ value: value[i], parent: place, step: i })
    } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
      const names = Object.keys(value)
      for (let i = names.length - 1; i >= 0; i--) {
        const name = names[i]!
        const problem = textProblem(name)
        // The name itself stays out of the answer: it is no text.
        if (problem !== null) errors.push({ path: at + pathOf(place), message: `${problem} in the name of a field` })
        const part = (value as Record<string, unknown>)[name]
        if (isPart(part)) open.push({ value: part, parent: place, step: name })
      }
    }
  }
  return errors
}

const isPart = (value: unknown): boolean => typeof value === 'string' || (typeof value === 'object' && value !== null)

function pathOf(place: Place): string {
  const steps: string[] = []
  for (let at = place; at.parent !== null; at = at.parent) steps.push(pointerStep(at.step))
  return steps.reverse().join('')
}
