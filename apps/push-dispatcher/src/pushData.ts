// What the app finds in a push besides what is shown, the same whichever way it came.
import type { ProviderMessage } from '@stepcast/channel'

/**
 * Keys beside those of the template's own data: the app reports receipts for the message's id, and only while the user named here is
 * signed in on the device.
 */
export const dataKeys = {
  messageId: 'stepcast_message_id',
  workspaceId: 'stepcast_workspace_id',
  userId: 'stepcast_user_id',
  url: 'stepcast_url',
} as const

/** The data of a push: strings only, ours last, so that a template cannot speak for another message. */
export const dataOf = ({ messageId, workspaceId, userId, content: { data, url } }: ProviderMessage<'push'>): Record<string, string> => ({
  ...strings(data),
  [dataKeys.messageId]: messageId,
  [dataKeys.workspaceId]: workspaceId,
  [dataKeys.userId]: userId,
  ...(url === null ? {} : { [dataKeys.url]: url }),
})

// Rendering turns an address that is none into null, and FCM takes only strings.
const strings = (data: Readonly<Record<string, string | null>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
