// What of a push travels to a phone, the same for whoever measures it and whoever sends it.
import type { PushContent } from './template'

/** Whose push it is and which: travels in its data. */
export interface PushNames {
  readonly messageId: string
  readonly workspaceId: string
  readonly userId: string
}

/**
 * Keys beside those of the template's own data: the app reports receipts for the message's id, and only while the user named here is
 * signed in on the device.
 */
export const pushDataKeys = {
  messageId: 'stepcast_message_id',
  workspaceId: 'stepcast_workspace_id',
  userId: 'stepcast_user_id',
  url: 'stepcast_url',
} as const

/** The data of a push: strings only, ours last, so that a template cannot speak for another message. */
export const pushDataOf = ({ data, url }: PushContent, { messageId, workspaceId, userId }: PushNames): Record<string, string> => ({
  ...strings(data),
  [pushDataKeys.messageId]: messageId,
  [pushDataKeys.workspaceId]: workspaceId,
  [pushDataKeys.userId]: userId,
  ...(url === null ? {} : { [pushDataKeys.url]: url }),
})

// FCM takes only strings, and an approval that somebody wrote by hand may have no data at all.
const strings = (data: Readonly<Record<string, string | null>> | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(data ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))

/** What FCM counts of a message: its notification and its data. */
export const fcmPayload = (
  content: PushContent,
  names: PushNames,
): { notification: { title: string; body: string }; data: Record<string, string> } => ({
  notification: { title: content.title, body: content.body },
  data: pushDataOf(content, names),
})

/** The JSON payload of APNs. `mutable-content` wakes the app's notification extension, which alone can report `delivered`. */
export const apnsPayload = (content: PushContent, names: PushNames): object => ({
  ...pushDataOf(content, names),
  aps: { alert: { title: content.title, body: content.body }, 'mutable-content': 1 },
})
