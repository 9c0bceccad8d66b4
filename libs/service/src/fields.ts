// Building blocks of what a call takes, made of the rules for whatever comes in. Texts need none: `parse` refuses NUL and half surrogate
// pairs in every one of them.
import { freeIdProblem, instantProblem, maxInt4, templateIdPattern } from '@stepcast/contracts'
import { z } from 'zod'

/** A string that a rule of libs/contracts finds nothing wrong with. */
const judged = (problemOf: (text: string) => string | null): z.ZodString =>
  z.string().superRefine((text, context) => {
    const problem = problemOf(text)
    if (problem !== null) context.addIssue({ code: 'custom', message: problem })
  })

/** An id of the caller's choice (userId, deviceId, sendId …): 1 to 128 characters without control characters. */
export const freeId = judged(freeIdProblem).describe('1 to 128 characters, no control characters')

/** A templateId. */
export const templateIdField = z.string().regex(templateIdPattern, 'must be 1 to 64 of a-z 0-9 _ -, beginning with a letter or digit')

/**
 * Texts by name, such as variables, whatever the names are: zod's own record leaves `__proto__` out without a word.
 * @param problemOf what else is wrong with a name and its text; null: nothing
 */
export const namedTexts = (problemOf: (name: string, text: string) => string | null): z.ZodType<Readonly<Record<string, string>>> =>
  // Documents can describe what is unknown, by `meta`; a custom type they cannot.
  z
    .unknown()
    .superRefine((value, context) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        context.addIssue({ code: 'custom', message: `must be an object${value === undefined ? '' : `, not ${kindOf(value)}`}` })
        return
      }
      for (const [name, text] of Object.entries(value)) {
        const problem = typeof text === 'string' ? problemOf(name, text) : `must be a string, not ${kindOf(text)}`
        if (problem !== null) context.addIssue({ code: 'custom', path: [name], message: problem })
      }
    })
    .meta({ type: 'object', additionalProperties: { type: 'string' } }) as unknown as z.ZodType<Readonly<Record<string, string>>>

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'a list' : typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value)

/** A whole number from `min` to `max`; at most what the database's int4 holds. */
export const int4 = (min = 0, max = maxInt4): z.ZodInt => z.int().min(min).max(max)

/** A whole number in an address, where everything is text: written in digits, neither `0x10` nor `1e2` nor with blanks. */
export const digits = (min: number, max: number): z.ZodType<number> =>
  z.preprocess((text) => (typeof text === 'string' && /^[0-9]{1,16}$/.test(text) ? Number(text) : text), z.int().min(min).max(max))

/** The same of the database's type int4. */
export const queryInt4 = (min = 0, max = maxInt4): z.ZodType<number> => digits(min, max)

/** A whole number of the database's type int8, as far as JavaScript counts. */
export const int8 = (min = 0): z.ZodInt => z.int().min(min)

/** A time, RFC 3339 with its offset, from 1970 to 2199. */
export const instant = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T09:00:00Z' })
  .superRefine((text, context) => {
    if (instantProblem(Date.parse(text)) !== null) context.addIssue({ code: 'custom', message: 'must be a time from 1970 to 2199' })
  })

/** A time in milliseconds since 1970, from 1970 to 2199. */
export const instantMs = z.int().superRefine((ms, context) => {
  const problem = instantProblem(ms)
  if (problem !== null) context.addIssue({ code: 'custom', message: problem })
})

/** A language as BCP 47 has it, in canonical spelling; Android's and iOS' `ko_KR` means `ko-KR`. */
export const locale = z
  .string()
  .max(35)
  .transform((given, context) => {
    try {
      return Intl.getCanonicalLocales(given.replaceAll('_', '-'))[0]!
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a BCP 47 language tag such as ko-KR' })
      return z.NEVER
    }
  })
