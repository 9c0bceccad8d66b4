// A user as a workspace's backend sees it.
import type { Unsubscribed } from './unsubscribed'
import type { Device, User } from './user.entity'

/** A device; the token is what the backend registered itself. */
export interface DeviceView {
  readonly deviceId: string
  readonly platform: 'fcm' | 'apns'
  readonly token: string
  readonly updatedAt: string
}

/** What `PUT …/preferences` takes and gives. */
export interface PreferencesView {
  readonly optOut: { readonly channels: readonly string[]; readonly categories: readonly string[] }
  readonly quietHours: { readonly start: string; readonly end: string } | null
}

/** A user. */
export interface UserView {
  readonly userId: string
  readonly phoneNumber: string | null
  readonly kakaoPhoneNumber: string | null
  readonly locale: string | null
  readonly timezone: string | null
  readonly devices: readonly DeviceView[]
  readonly preferences: PreferencesView
  /** The senders that the number has told to stop (STOP); null: the SMS dispatcher does not answer at the moment. */
  readonly unsubscribed: readonly Unsubscribed[] | null
  readonly createdAt: string
  readonly updatedAt: string
}

export const deviceView = ({ deviceId, platform, token, updatedAt }: Device): DeviceView => ({
  deviceId,
  platform,
  token,
  updatedAt: updatedAt.toISOString(),
})

export const preferencesView = ({ optOutChannels, optOutCategories, quietHoursStart, quietHoursEnd }: User): PreferencesView => ({
  optOut: { channels: optOutChannels, categories: optOutCategories },
  quietHours: quietHoursStart === null || quietHoursEnd === null ? null : { start: quietHoursStart, end: quietHoursEnd },
})

/** A user in a list: without devices, and without asking whom they have told to stop. */
export type ListedUser = Omit<UserView, 'devices' | 'unsubscribed'>

export function listedUser(user: User): ListedUser {
  const { devices: _, unsubscribed: __, ...view } = userView(user, [], null)
  return view
}

export const userView = (user: User, devices: readonly Device[], unsubscribed: UserView['unsubscribed']): UserView => ({
  userId: user.userId,
  phoneNumber: user.phoneNumber,
  kakaoPhoneNumber: user.kakaoPhoneNumber,
  locale: user.locale,
  timezone: user.timezone,
  devices: devices.map(deviceView),
  preferences: preferencesView(user),
  unsubscribed,
  createdAt: user.createdAt.toISOString(),
  updatedAt: user.updatedAt.toISOString(),
})
