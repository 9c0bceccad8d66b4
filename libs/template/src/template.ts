// The canonical form of a template: every default filled in, every word in its stored spelling.
import type { ChannelType, LateSignal, OnFailure, StopCondition, TemplateApproved } from '@stepcast/contracts'

/** What a template is for; users opt out by category. */
export const categories = ['Onboarding', 'Transactional', 'Marketing', 'Product_Showcase', 'Alerts', 'Polls', 'Custom'] as const
/** One of {@link categories}. */
export type Category = (typeof categories)[number]

/** The wait windows a step may have, minutes. */
export const waitMinutesAllowed = [5, 10, 30, 60, 240, 1440] as const
/** One of {@link waitMinutesAllowed}. */
export type WaitMinutes = (typeof waitMinutesAllowed)[number]

/** `string`: any text; `image` and `action`: an http(s) URL. */
export const variableTypes = ['string', 'image', 'action'] as const

/** A variable that content may use as `{{name}}`. */
export interface Variable {
  readonly name: string
  readonly type: (typeof variableTypes)[number]
  /** A send that gives no value is refused, unless there is a default. */
  readonly required: boolean
  readonly default: string | null
}

/** A button; without a url it only reports the click. */
export interface Button {
  readonly id: string
  readonly label: string
  readonly url: string | null
}

export interface InAppContent {
  readonly title: string
  readonly body: string
  readonly imageUrl: string | null
  readonly buttons: readonly Button[]
  /** The item leaves the feed this many minutes after it came; null or absent: it is kept 90 days. */
  readonly expiresInMinutes?: number | null
}

/** The longest an item of the feed may be kept, minutes: the 90 days that items are kept anyway. */
export const feedMinutesAtMost = 129_600

export interface PushContent {
  readonly title: string
  readonly body: string
  /** Opened by a tap. */
  readonly url: string | null
  /** Passed to the app as it is. */
  readonly data: Readonly<Record<string, string>>
}

export interface SmsContent {
  readonly body: string
  /** Whether http(s) links in the body are replaced by short tracked ones. */
  readonly trackLinks: boolean
}

export interface KakaoContent {
  readonly senderKey: string
  readonly templateCode: string
  readonly body: string
  readonly buttons: readonly Button[]
}

/** The content of each channel. */
export interface ContentOf {
  readonly in_app: InAppContent
  readonly push: PushContent
  readonly sms: SmsContent
  readonly kakao: KakaoContent
}

/** One channel of a template with its content. */
export type TemplateChannel = { [C in ChannelType]: { readonly channelType: C; readonly content: ContentOf[C] } }[ChannelType]

/** One position in the sequence; the last one is terminal: no condition, no wait. */
export interface TemplateStep {
  readonly channels: readonly ChannelType[]
  readonly stopCondition: StopCondition | null
  readonly waitMinutes: WaitMinutes | null
}

export interface SequenceConfig {
  readonly steps: readonly TemplateStep[]
  readonly onFailure: OnFailure
  readonly lateSignal: LateSignal
  /** A step not accepted by its provider within this many minutes is `expired`. */
  readonly dispatchTtlMinutes: number
}

/** `sequenceEnabled: false` is a broadcast: every channel at once. */
export type TemplateConfig =
  | { readonly sequenceEnabled: true; readonly sequence: SequenceConfig }
  | { readonly sequenceEnabled: false; readonly sequence: null }

/** What a draft holds and approving freezes. */
export interface TemplateDefinition {
  readonly name: string
  readonly category: Category
  readonly variableSchema: readonly Variable[]
  readonly channels: readonly TemplateChannel[]
  readonly config: TemplateConfig
}

/** An approved, immutable version, with the archive state of its template. */
export interface TemplateVersion extends TemplateDefinition {
  readonly workspaceId: string
  readonly templateId: string
  readonly version: number
  /** Archived templates refuse new sends; running sequences go on. */
  readonly archived: boolean
}

/** Reads the event of an approval. Throws when its JSON text is not readable: only template-svc writes it, so that is a bug. */
export function templateVersionOf(workspaceId: string, templateId: string, approved: TemplateApproved, archived: boolean): TemplateVersion {
  return {
    workspaceId,
    templateId,
    version: approved.version,
    archived,
    name: approved.name,
    category: approved.category as Category,
    variableSchema: JSON.parse(approved.variableSchema) as Variable[],
    channels: JSON.parse(approved.channels) as TemplateChannel[],
    config: JSON.parse(approved.config) as TemplateConfig,
  }
}

/** Writes the event of an approval: the definition as JSON text in canonical form. */
export function templateApproved(version: number, definition: TemplateDefinition): TemplateApproved {
  return {
    type: 'TemplateApproved',
    version,
    name: definition.name,
    category: definition.category,
    variableSchema: JSON.stringify(definition.variableSchema),
    channels: JSON.stringify(definition.channels),
    config: JSON.stringify(definition.config),
  }
}
