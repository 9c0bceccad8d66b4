// Provider accounts: what they look like, how they are kept secret, how they travel.
export {
  apnsAccount,
  fcmAccount,
  hintOf,
  providerNames,
  providers,
  solapiAccount,
  twilioAccount,
  type AccountOf,
  type ApnsAccount,
  type FcmAccount,
  type ProviderName,
  type SolapiAccount,
  type TwilioAccount,
} from './account'
export { encryptionKeysOf, encryptionSecretOf, Seal, SealBroken, type EncryptionKeys, type SealPurpose } from './seal'
export {
  EncryptionKeys1764400000000,
  encryptionKeysTableSql,
  fingerprintOfKey,
  forgetPreviousKey,
  keysProblem,
  requireKeys,
  type SealedPlace,
} from './keys'
export { AccountSeal, type SealedAccount } from './sealed'
