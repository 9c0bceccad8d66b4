// Provider accounts: what they look like, how they are kept secret, how they travel.
export {
  apnsAccount, fcmAccount, hintOf, providerNames, providers, solapiAccount, twilioAccount,
  type AccountOf, type ApnsAccount, type FcmAccount, type ProviderName, type SolapiAccount, type TwilioAccount,
} from './account'
export { encryptionSecretOf, Seal, type SealPurpose } from './seal'
export { AccountSeal, type SealedAccount } from './sealed'
