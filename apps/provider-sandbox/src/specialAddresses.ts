// Addresses with a meaning: tokens and numbers that ask for one particular answer, and those whose phones answer by themselves.

/** Whether the phone answers by itself: device tokens `sim_…`, numbers `+1555…`. */
export const isSimulated = (to: string): boolean => to.startsWith('sim_') || to.startsWith('+1555')

/** The error code a device token asks for: `code_<code>` or `code_<code>_<anything>`; null: none of these codes. */
export function codeOf<C extends string>(token: string, codes: readonly C[]): C | null {
  if (!token.startsWith('code_')) return null
  const asked = token.slice('code_'.length)
  return codes.find((code) => asked === code || asked.startsWith(`${code}_`)) ?? null
}

// Twilio's own test numbers (twilio.com/docs/iam/test-credentials).
const twilioMagic: Readonly<Record<string, number>> = {
  '+15005550001': 21211,
  '+15005550002': 21612,
  '+15005550003': 21408,
  '+15005550004': 21610,
  '+15005550009': 21614,
}

/** Whether a number is of the range that exists nowhere: `+15550000xxx`. */
export const isNoNumber = (to: string): boolean => /^\+15550000\d{3}$/.test(to)

/**
 * The Twilio error a number asks for: Twilio's own test numbers, and `+15550` with the five digits of the code and one more:
 * `+15550` `21610` `0`. Codes of 2xxxx are refused at once, those of 3xxxx come as a status callback. Null: none.
 */
export function twilioCodeOf(to: string): number | null {
  const asked = Number(/^\+15550([23]\d{4})\d$/.exec(to)?.[1] ?? twilioMagic[to] ?? 0)
  return asked === 0 ? null : asked
}

/**
 * The Solapi status code a number asks for: `010-0000-<code>`, or `+15550` with the four digits of the code and two more.
 * Codes of 1xxx and 2xxx are refused at once, those of 3xxx come in the report. Null: none, or 4000, which is no error.
 */
export function solapiCodeOf(to: string): string | null {
  const code = /^\+15550([123]\d{3})\d{2}$/.exec(to)?.[1] ?? /^\+82100000([123]\d{3})$/.exec(to)?.[1]
  return code === undefined || code === '2000' || code === '3000' ? null : code
}
