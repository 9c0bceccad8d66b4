// A provider account: one workspace's credentials with one provider, as a person gives them and as they are checked.
import { createPrivateKey } from 'node:crypto'
import type { ChannelType } from '@stepcast/contracts'
import { z } from 'zod'

// Every field has words of its own: the general ones would repeat the value, and here values are secrets.
const text = (pattern: RegExp, rule: string): z.ZodString => z.string({ error: rule }).regex(pattern, { error: rule })

/** A private key in PEM of the kind its provider signs with. */
const privateKey = (kind: 'rsa' | 'ec', rule: string): z.ZodType<string, string> =>
  z
    .string({ error: rule })
    .max(8_192, { error: rule })
    .refine((pem) => kindOf(pem) === kind, { error: rule })

function kindOf(pem: string): string | undefined {
  try {
    const key = createPrivateKey(pem)
    // Apple's keys are on P-256, the only curve of ES256.
    const isOther = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve !== 'prime256v1'
    return isOther ? undefined : key.asymmetricKeyType
  } catch {
    return undefined
  }
}

/** FCM: the service account file of the Firebase project as Google's console gives it; what sending does not need is dropped. */
export const fcmAccount = z.strictObject({
  serviceAccount: z.object(
    {
      project_id: text(/^[a-z][a-z0-9.:-]{3,99}$/, 'must be the id of a Firebase project'),
      client_email: text(/^[^\s@]{1,100}@[^\s@]{1,150}$/, "must be the service account's e-mail address"),
      private_key: privateKey('rsa', 'must be an RSA private key in PEM, as in the file Google gives'),
    },
    { error: 'must be the service account file that Google gives, as a JSON object' },
  ),
})

/** APNs by token (a `.p8` key of the developer team). `topic` is the app's bundle id. */
export const apnsAccount = z.strictObject({
  teamId: text(/^[A-Z0-9]{10}$/, 'must be the ten characters of the developer team, A-Z and 0-9'),
  keyId: text(/^[A-Z0-9]{10}$/, 'must be the ten characters of the key, A-Z and 0-9'),
  privateKey: privateKey('ec', 'must be the content of the .p8 file Apple gives: a P-256 private key in PEM (PKCS#8)'),
  topic: text(/^[A-Za-z0-9.-]{1,155}$/, "must be the app's bundle id such as com.example.shop"),
  environment: z.enum(['production', 'development'], { error: 'must be "production" or "development"' }),
})

const senderRule = 'must be a number in E.164 such as +15005550006, a short code, or a sender name of up to 11 letters and digits'

/** Twilio: exactly one of `from` and `messagingServiceSid` says who the SMS is from. */
export const twilioAccount = z
  .strictObject({
    accountSid: text(/^AC[0-9a-fA-F]{32}$/, 'must be AC followed by 32 hexadecimal digits'),
    authToken: text(/^[\x21-\x7e]{16,128}$/, "must be the account's auth token, 16 to 128 characters without spaces"),
    from: text(/^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/, senderRule).optional(),
    messagingServiceSid: text(/^MG[0-9a-fA-F]{32}$/, 'must be MG followed by 32 hexadecimal digits').optional(),
  })
  .refine(({ from, messagingServiceSid }) => (from === undefined) !== (messagingServiceSid === undefined), {
    path: ['from'],
    error: 'give exactly one of from and messagingServiceSid',
  })

/** Solapi; the sender and the template of an Alimtalk come from the template's content. */
export const solapiAccount = z.strictObject({
  apiKey: text(/^[\x21-\x7e]{8,128}$/, 'must be the API key, 8 to 128 characters without spaces'),
  apiSecret: text(/^[\x21-\x7e]{8,256}$/, 'must be the API secret, 8 to 256 characters without spaces'),
  webhookSecret: text(/^[\x21-\x7e]{8,256}$/, 'must be the secret of the webhook, 8 to 256 characters without spaces'),
})

/** The account of each provider, checked. */
export interface AccountOf {
  readonly fcm: z.output<typeof fcmAccount>
  readonly apns: z.output<typeof apnsAccount>
  readonly twilio: z.output<typeof twilioAccount>
  readonly solapi: z.output<typeof solapiAccount>
}
export type FcmAccount = AccountOf['fcm']
export type ApnsAccount = AccountOf['apns']
export type TwilioAccount = AccountOf['twilio']
export type SolapiAccount = AccountOf['solapi']

/** A provider Stepcast speaks to. */
export type ProviderName = keyof AccountOf

/** Every provider with its channel and the shape of its account. */
export const providers: { readonly [P in ProviderName]: { readonly channel: ChannelType; readonly account: z.ZodType<AccountOf[P]> } } = {
  fcm: { channel: 'push', account: fcmAccount },
  apns: { channel: 'push', account: apnsAccount },
  twilio: { channel: 'sms', account: twilioAccount },
  solapi: { channel: 'kakao', account: solapiAccount },
}

/** Their names, in the order in which they are listed. */
export const providerNames = Object.keys(providers) as readonly ProviderName[]

/** By what a person recognises an account: the part of it that is no secret. */
export function hintOf<P extends ProviderName>(provider: P, account: AccountOf[P]): string {
  switch (provider) {
    case 'fcm':
      return (account as FcmAccount).serviceAccount.project_id
    case 'apns':
      return (account as ApnsAccount).keyId
    case 'twilio':
      return (account as TwilioAccount).accountSid
    case 'solapi':
      return (account as SolapiAccount).apiKey
    default:
      throw new Error(`there is no provider ${String(provider)}`)
  }
}
