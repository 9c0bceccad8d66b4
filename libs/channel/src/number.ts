// A telephone number as the one target of a message.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { Address } from './message'

/** The name of the target, in the ledger and in reports, where the number itself must not stand. */
export const numberTarget = 'number'

/**
 * The number as a target of a provider: E.164. None where it is no possible number: people-svc takes no others, so that is a record of
 * an older rule. Possible is enough, since numbering plans change faster than any library; whether it exists the provider knows.
 */
export function numberAddress(number: string | null, provider: string): Address[] {
  const parsed = number === null ? undefined : parsePhoneNumberFromString(number)
  return parsed?.isPossible() ? [{ target: numberTarget, address: parsed.number, provider }] : []
}
