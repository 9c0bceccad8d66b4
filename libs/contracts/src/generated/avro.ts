// Generated from avro/*.avsc by tools/generate.mjs; never edited. Run `npm run generate` after changing a schema.
/* eslint-disable */

export type CancelScope = 'sequence' | 'send' | 'campaign' | 'user'

/** Ends running sequences; recorded before fan-out and honoured by late children. A known cancelId is ignored. */
export interface CancelRequested {
  /** Idempotency key of the request. */
  readonly cancelId: string
  /** The tenant. */
  readonly workspaceId: string
  /** What id names. */
  readonly scope: CancelScope
  /** The sequenceId, sendId, campaignId or userId. */
  readonly id: string
  /** Who asked, e.g. api-key ak_1. */
  readonly requestedBy: string
  /** When; scope user covers sends with requestedAt at or before this. */
  readonly requestedAt: number
}

export type DispatchAction = 'send' | 'withdraw'

/** The orchestrator's command to one channel's dispatcher: send a message, or withdraw one not yet begun. */
export interface DispatchStep {
  /** withdraw: a dispatcher that has not begun answers skipped(withdrawn). */
  readonly action: DispatchAction
  /** The tenant. */
  readonly workspaceId: string
  /** <sequenceId>.<step>.<channelType>; the idempotency key of the dispatcher. */
  readonly messageId: string
  /** The sequence this step belongs to. */
  readonly sequenceId: string
  /** The send this sequence belongs to. */
  readonly sendId: string
  /** Position in the sequence, from 1. */
  readonly step: number
  /** in_app, push, sms or kakao. */
  readonly channelType: string
  /** The receiver. */
  readonly userId: string
  /** The template whose content is to be rendered. */
  readonly templateId: string
  /** The pinned version. */
  readonly templateVersion: number
  /** The campaign, if any. */
  readonly campaignId: null | string
  /** Values of the template's variables; empty on withdraw. */
  readonly variables: Readonly<Record<string, string>>
  /** When the orchestrator decided, by the database's clock. */
  readonly commandedAt: number
  /** The dispatcher answers by then and never sends after it. */
  readonly expiresAt: number
  /** The step's wait window in milliseconds; null on a terminal step. A provider's time to live stays within it. */
  readonly windowMs: null | number
}

export type EngagementKind = 'requested' | 'delivered' | 'viewed' | 'clicked' | 'failed' | 'skipped' | 'unknown'

/** A fact about one message, as its dispatcher, the receiver's device or a provider reported it. */
export interface EngagementReported {
  /** The tenant; a report for another workspace's message is a dead letter. */
  readonly workspaceId: string
  /** <sequenceId>.<step>.<channelType>. */
  readonly messageId: string
  /** What happened. Only dispatchers report requested, failed, skipped and unknown. */
  readonly kind: EngagementKind
  /** When it happened, milliseconds since the epoch. */
  readonly occurredAt: number
  /** Who reported: a dispatcher's name, client, server, or a provider. */
  readonly source: string
  /** Why it failed or was skipped, e.g. no_token, opted_out, withdrawn, UNREGISTERED. */
  readonly reason: null | string
  /** The provider's own id of the message. */
  readonly providerMessageId: null | string
  /** Keys: provider, target (a deviceId or "number", never an address), segments, price, currency, buttonId. */
  readonly detail: Readonly<Record<string, string>>
}

export type SendSource = 'http' | 'grpc' | 'kafka' | 'campaign'

/** One request to send a template to one user. Idempotent on (workspaceId, sendId, userId). */
export interface SendRequested {
  /** The tenant; ^[a-z0-9][a-z0-9-]{0,62}$. */
  readonly workspaceId: string
  /** The producer's id of the send, 1..128 characters, no control characters. */
  readonly sendId: string
  /** The receiver, 1..128 characters, no control characters. */
  readonly userId: string
  /** The template to send. */
  readonly templateId: string
  /** The approved version to pin; absent: the latest approved when the sequence starts. */
  readonly templateVersion: null | number
  /** The campaign that made the send, if any. */
  readonly campaignId: null | string
  /** Values of the template's variables for this user; at most 64 kB. */
  readonly variables: Readonly<Record<string, string>>
  /** A free label of the producer, kept with the sequence. */
  readonly tag: null | string
  /** How the send came in; absent means kafka. */
  readonly source: null | SendSource
  /** When the producer asked, milliseconds since the epoch. */
  readonly requestedAt: number
}

export type StopCondition = 'delivered' | 'viewed' | 'clicked'

export interface SequenceStep {
  /** The channels commanded together. */
  readonly channels: readonly string[]
  /** The engagement that ends the sequence here; null on the terminal step. */
  readonly stopCondition: null | StopCondition
  /** The wait window in milliseconds; null on the terminal step. */
  readonly windowMs: null | number
}

export type OnFailure = 'advance' | 'wait'

export type LateSignal = 'stop' | 'ignore'

/** The sequence began; its steps and rules are recorded so that replay depends on nothing else. */
export interface SequenceStarted {
  readonly type: 'SequenceStarted'
  /** The pinned version's steps, the last is terminal. */
  readonly steps: readonly SequenceStep[]
  /** Whether a failed or expired step advances at once or after its window. */
  readonly onFailure: OnFailure
  /** Whether a late signal of an earlier step stops a running sequence. */
  readonly lateSignal: LateSignal
  /** The producer's label. */
  readonly tag: null | string
  /** http, grpc, kafka or campaign. */
  readonly source: string
  /** When the producer asked. */
  readonly requestedAt: null | number
  /** A command expires this many milliseconds after it was given; absent: 60 minutes. */
  readonly dispatchTtlMs: null | number
}

/** Channels of a step were commanded. */
export interface StepCommanded {
  readonly type: 'StepCommanded'
  /** Position, from 1. */
  readonly step: number
  /** The channels commanded now. */
  readonly channels: readonly string[]
  /** When. */
  readonly commandedAt: number
  /** The dispatcher's deadline. */
  readonly expiresAt: number
}

/** Channels of a step wait for the end of quiet hours. */
export interface StepDeferred {
  readonly type: 'StepDeferred'
  /** Position, from 1. */
  readonly step: number
  /** The channels deferred. */
  readonly channels: readonly string[]
  /** When quiet hours are asked again. */
  readonly until: number
  /** quiet_hours. */
  readonly reason: string
}

/** A fact about a message, at most once per message and kind. */
export interface EngagementRecorded {
  readonly type: 'EngagementRecorded'
  /** <sequenceId>.<step>.<channelType>. */
  readonly messageId: string
  /** Position, from 1. */
  readonly step: number
  /** in_app, push, sms or kakao. */
  readonly channelType: string
  /** What happened. */
  readonly kind: EngagementKind
  /** When, as reported. */
  readonly occurredAt: number
  /** Who reported. */
  readonly source: string
  /** Why it failed or was skipped. */
  readonly reason: null | string
  /** The provider's own id. */
  readonly providerMessageId: null | string
  /** As in EngagementReported. */
  readonly detail: Readonly<Record<string, string>>
}

export type StepEndReason = 'stopped' | 'waitElapsed' | 'failed' | 'skipped' | 'expired' | 'superseded' | 'cancelled' | 'completed'

/** A step is over. */
export interface StepEnded {
  readonly type: 'StepEnded'
  /** Position, from 1. */
  readonly step: number
  /** Which of the eight ways. */
  readonly reason: StepEndReason
  /** The kind reported, when stopped. */
  readonly engagement: null | EngagementKind
  /** receipts_behind: the timer fired although reports were still waiting. */
  readonly note: null | string
}

/** A later step was sent although this step's condition then came in. */
export interface EscalationRegretted {
  readonly type: 'EscalationRegretted'
  /** The step whose condition came in late. */
  readonly step: number
  /** Later steps with a message sent, or commanded and open. */
  readonly laterSteps: readonly number[]
  /** The engagement that came late. */
  readonly kind: EngagementKind
  /** Milliseconds from the step's end to the record of the engagement. */
  readonly lateByMs: number
}

export type SequenceOutcome = 'stopped' | 'exhausted' | 'unreachable' | 'cancelled'

/** The sequence is over; only EngagementRecorded and EscalationRegretted may follow. */
export interface SequenceEnded {
  readonly type: 'SequenceEnded'
  /** How it ended. */
  readonly outcome: SequenceOutcome
  /** The step that stopped it; only for stopped. */
  readonly step: null | number
  /** The kind that stopped it; only for stopped. */
  readonly engagement: null | EngagementKind
}

/** Everything one turn did to one sequence. A reader that keeps one highest logPosition per partition counts each exactly once. */
export interface SequenceChanged {
  /** The tenant. */
  readonly workspaceId: string
  /** UUIDv5 of workspaceId, sendId and userId. */
  readonly sequenceId: string
  /** 1, 2, 3 … per sequence: one per turn that changed it. */
  readonly version: number
  /** The partition of this topic, and the sequence's home partition. */
  readonly logPartition: number
  /** Gapless per logPartition, from 1. */
  readonly logPosition: number
  /** The send. */
  readonly sendId: string
  /** The receiver. */
  readonly userId: string
  /** The template. */
  readonly templateId: string
  /** The version pinned when the sequence started. */
  readonly templateVersion: number
  /** The campaign, if any. */
  readonly campaignId: null | string
  /** When the turn decided, by the database's clock. */
  readonly recordedAt: number
  /** What happened, in order; never empty. */
  readonly events: ReadonlyArray<SequenceStarted | StepCommanded | StepDeferred | EngagementRecorded | StepEnded | EscalationRegretted | SequenceEnded>
}

/** An immutable version was made. */
export interface TemplateApproved {
  readonly type: 'TemplateApproved'
  /** 1, 2, 3 … */
  readonly version: number
  /** Display name. */
  readonly name: string
  /** Onboarding, Transactional, Marketing, Product_Showcase, Alerts, Polls or Custom. */
  readonly category: string
  /** JSON text: [{ name, type, required, default }]. */
  readonly variableSchema: string
  /** JSON text: [{ channelType, content }]. */
  readonly channels: string
  /** JSON text: { sequenceEnabled, sequence }. */
  readonly config: string
}

/** New sends are refused from now on. */
export interface TemplateArchived {
  readonly type: 'TemplateArchived'
  /** When. */
  readonly archivedAt: number
}

/** New sends are accepted again. */
export interface TemplateUnarchived {
  readonly type: 'TemplateUnarchived'
}

/** A template got a new approved version, was archived or unarchived. */
export interface TemplateChanged {
  /** The tenant. */
  readonly workspaceId: string
  /** ^[a-z0-9][a-z0-9_-]{0,63}$. */
  readonly templateId: string
  /** When. */
  readonly changedAt: number
  /** What changed. */
  readonly change: TemplateApproved | TemplateArchived | TemplateUnarchived
}

export type DevicePlatform = 'fcm' | 'apns'

export interface Device {
  /** The client's id of the device. */
  readonly deviceId: string
  /** Which push service. */
  readonly platform: DevicePlatform
  /** The push token. */
  readonly token: string
  /** When it was registered last. */
  readonly updatedAt: number
}

/** The whole of what is known of one user; a null value on the topic means erased. */
export interface UserChanged {
  /** The tenant. */
  readonly workspaceId: string
  /** 1..128 characters. */
  readonly userId: string
  /** E.164. */
  readonly phoneNumber: null | string
  /** E.164. */
  readonly kakaoPhoneNumber: null | string
  /** BCP 47. */
  readonly locale: null | string
  /** IANA name. */
  readonly timezone: null | string
  /** Push targets. */
  readonly devices: readonly Device[]
  /** Channels the user does not want. */
  readonly optOutChannels: readonly string[]
  /** Template categories the user does not want. */
  readonly optOutCategories: readonly string[]
  /** HH:mm in the user's timezone. */
  readonly quietHoursStart: null | string
  /** HH:mm in the user's timezone. */
  readonly quietHoursEnd: null | string
  /** When. */
  readonly updatedAt: number
}

/** A workspace was made or its settings changed. */
export interface WorkspaceChanged {
  /** ^[a-z0-9][a-z0-9-]{0,62}$. */
  readonly workspaceId: string
  /** JSON text: { name, timezone, currency, … }. */
  readonly settings: string
  /** When. */
  readonly updatedAt: number
}

/** The schema of every record that crosses a process, by record name. */
export const avroSchemas = {
  "CancelRequested": {
    "type": "record",
    "name": "CancelRequested",
    "namespace": "stepcast.v1",
    "doc": "Ends running sequences; recorded before fan-out and honoured by late children. A known cancelId is ignored.",
    "fields": [
      {
        "name": "cancelId",
        "type": "string",
        "doc": "Idempotency key of the request."
      },
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant."
      },
      {
        "name": "scope",
        "type": {
          "type": "enum",
          "name": "CancelScope",
          "symbols": [
            "sequence",
            "send",
            "campaign",
            "user"
          ]
        },
        "doc": "What id names."
      },
      {
        "name": "id",
        "type": "string",
        "doc": "The sequenceId, sendId, campaignId or userId."
      },
      {
        "name": "requestedBy",
        "type": "string",
        "doc": "Who asked, e.g. api-key ak_1."
      },
      {
        "name": "requestedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When; scope user covers sends with requestedAt at or before this."
      }
    ]
  },
  "DispatchStep": {
    "type": "record",
    "name": "DispatchStep",
    "namespace": "stepcast.v1",
    "doc": "The orchestrator's command to one channel's dispatcher: send a message, or withdraw one not yet begun.",
    "fields": [
      {
        "name": "action",
        "type": {
          "type": "enum",
          "name": "DispatchAction",
          "symbols": [
            "send",
            "withdraw"
          ]
        },
        "doc": "withdraw: a dispatcher that has not begun answers skipped(withdrawn)."
      },
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant."
      },
      {
        "name": "messageId",
        "type": "string",
        "doc": "<sequenceId>.<step>.<channelType>; the idempotency key of the dispatcher."
      },
      {
        "name": "sequenceId",
        "type": "string",
        "doc": "The sequence this step belongs to."
      },
      {
        "name": "sendId",
        "type": "string",
        "doc": "The send this sequence belongs to."
      },
      {
        "name": "step",
        "type": "int",
        "doc": "Position in the sequence, from 1."
      },
      {
        "name": "channelType",
        "type": "string",
        "doc": "in_app, push, sms or kakao."
      },
      {
        "name": "userId",
        "type": "string",
        "doc": "The receiver."
      },
      {
        "name": "templateId",
        "type": "string",
        "doc": "The template whose content is to be rendered."
      },
      {
        "name": "templateVersion",
        "type": "int",
        "doc": "The pinned version."
      },
      {
        "name": "campaignId",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "The campaign, if any."
      },
      {
        "name": "variables",
        "type": {
          "type": "map",
          "values": "string"
        },
        "default": {},
        "doc": "Values of the template's variables; empty on withdraw."
      },
      {
        "name": "commandedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When the orchestrator decided, by the database's clock."
      },
      {
        "name": "expiresAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "The dispatcher answers by then and never sends after it."
      },
      {
        "name": "windowMs",
        "type": [
          "null",
          "long"
        ],
        "default": null,
        "doc": "The step's wait window in milliseconds; null on a terminal step. A provider's time to live stays within it."
      }
    ]
  },
  "EngagementReported": {
    "type": "record",
    "name": "EngagementReported",
    "namespace": "stepcast.v1",
    "doc": "A fact about one message, as its dispatcher, the receiver's device or a provider reported it.",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant; a report for another workspace's message is a dead letter."
      },
      {
        "name": "messageId",
        "type": "string",
        "doc": "<sequenceId>.<step>.<channelType>."
      },
      {
        "name": "kind",
        "type": {
          "type": "enum",
          "name": "EngagementKind",
          "symbols": [
            "requested",
            "delivered",
            "viewed",
            "clicked",
            "failed",
            "skipped",
            "unknown"
          ]
        },
        "doc": "What happened. Only dispatchers report requested, failed, skipped and unknown."
      },
      {
        "name": "occurredAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When it happened, milliseconds since the epoch."
      },
      {
        "name": "source",
        "type": "string",
        "doc": "Who reported: a dispatcher's name, client, server, or a provider."
      },
      {
        "name": "reason",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "Why it failed or was skipped, e.g. no_token, opted_out, withdrawn, UNREGISTERED."
      },
      {
        "name": "providerMessageId",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "The provider's own id of the message."
      },
      {
        "name": "detail",
        "type": {
          "type": "map",
          "values": "string"
        },
        "default": {},
        "doc": "Keys: provider, target (a deviceId or \"number\", never an address), segments, price, currency, buttonId."
      }
    ]
  },
  "SendRequested": {
    "type": "record",
    "name": "SendRequested",
    "namespace": "stepcast.v1",
    "doc": "One request to send a template to one user. Idempotent on (workspaceId, sendId, userId).",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant; ^[a-z0-9][a-z0-9-]{0,62}$."
      },
      {
        "name": "sendId",
        "type": "string",
        "doc": "The producer's id of the send, 1..128 characters, no control characters."
      },
      {
        "name": "userId",
        "type": "string",
        "doc": "The receiver, 1..128 characters, no control characters."
      },
      {
        "name": "templateId",
        "type": "string",
        "doc": "The template to send."
      },
      {
        "name": "templateVersion",
        "type": [
          "null",
          "int"
        ],
        "default": null,
        "doc": "The approved version to pin; absent: the latest approved when the sequence starts."
      },
      {
        "name": "campaignId",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "The campaign that made the send, if any."
      },
      {
        "name": "variables",
        "type": {
          "type": "map",
          "values": "string"
        },
        "default": {},
        "doc": "Values of the template's variables for this user; at most 64 kB."
      },
      {
        "name": "tag",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "A free label of the producer, kept with the sequence."
      },
      {
        "name": "source",
        "type": [
          "null",
          {
            "type": "enum",
            "name": "SendSource",
            "symbols": [
              "http",
              "grpc",
              "kafka",
              "campaign"
            ]
          }
        ],
        "default": null,
        "doc": "How the send came in; absent means kafka."
      },
      {
        "name": "requestedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When the producer asked, milliseconds since the epoch."
      }
    ]
  },
  "SequenceChanged": {
    "type": "record",
    "name": "SequenceChanged",
    "namespace": "stepcast.v1",
    "doc": "Everything one turn did to one sequence. A reader that keeps one highest logPosition per partition counts each exactly once.",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant."
      },
      {
        "name": "sequenceId",
        "type": "string",
        "doc": "UUIDv5 of workspaceId, sendId and userId."
      },
      {
        "name": "version",
        "type": "int",
        "doc": "1, 2, 3 … per sequence: one per turn that changed it."
      },
      {
        "name": "logPartition",
        "type": "int",
        "doc": "The partition of this topic, and the sequence's home partition."
      },
      {
        "name": "logPosition",
        "type": "long",
        "doc": "Gapless per logPartition, from 1."
      },
      {
        "name": "sendId",
        "type": "string",
        "doc": "The send."
      },
      {
        "name": "userId",
        "type": "string",
        "doc": "The receiver."
      },
      {
        "name": "templateId",
        "type": "string",
        "doc": "The template."
      },
      {
        "name": "templateVersion",
        "type": "int",
        "doc": "The version pinned when the sequence started."
      },
      {
        "name": "campaignId",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "The campaign, if any."
      },
      {
        "name": "recordedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When the turn decided, by the database's clock."
      },
      {
        "name": "events",
        "doc": "What happened, in order; never empty.",
        "type": {
          "type": "array",
          "items": [
            {
              "type": "record",
              "name": "SequenceStarted",
              "doc": "The sequence began; its steps and rules are recorded so that replay depends on nothing else.",
              "fields": [
                {
                  "name": "steps",
                  "doc": "The pinned version's steps, the last is terminal.",
                  "type": {
                    "type": "array",
                    "items": {
                      "type": "record",
                      "name": "SequenceStep",
                      "fields": [
                        {
                          "name": "channels",
                          "type": {
                            "type": "array",
                            "items": "string"
                          },
                          "doc": "The channels commanded together."
                        },
                        {
                          "name": "stopCondition",
                          "type": [
                            "null",
                            {
                              "type": "enum",
                              "name": "StopCondition",
                              "symbols": [
                                "delivered",
                                "viewed",
                                "clicked"
                              ]
                            }
                          ],
                          "default": null,
                          "doc": "The engagement that ends the sequence here; null on the terminal step."
                        },
                        {
                          "name": "windowMs",
                          "type": [
                            "null",
                            "long"
                          ],
                          "default": null,
                          "doc": "The wait window in milliseconds; null on the terminal step."
                        }
                      ]
                    }
                  }
                },
                {
                  "name": "onFailure",
                  "type": {
                    "type": "enum",
                    "name": "OnFailure",
                    "symbols": [
                      "advance",
                      "wait"
                    ]
                  },
                  "doc": "Whether a failed or expired step advances at once or after its window."
                },
                {
                  "name": "lateSignal",
                  "type": {
                    "type": "enum",
                    "name": "LateSignal",
                    "symbols": [
                      "stop",
                      "ignore"
                    ]
                  },
                  "doc": "Whether a late signal of an earlier step stops a running sequence."
                },
                {
                  "name": "tag",
                  "type": [
                    "null",
                    "string"
                  ],
                  "default": null,
                  "doc": "The producer's label."
                },
                {
                  "name": "source",
                  "type": "string",
                  "doc": "http, grpc, kafka or campaign."
                },
                {
                  "name": "requestedAt",
                  "type": [
                    "null",
                    {
                      "type": "long",
                      "logicalType": "timestamp-millis"
                    }
                  ],
                  "default": null,
                  "doc": "When the producer asked."
                },
                {
                  "name": "dispatchTtlMs",
                  "type": [
                    "null",
                    "long"
                  ],
                  "default": null,
                  "doc": "A command expires this many milliseconds after it was given; absent: 60 minutes."
                }
              ]
            },
            {
              "type": "record",
              "name": "StepCommanded",
              "doc": "Channels of a step were commanded.",
              "fields": [
                {
                  "name": "step",
                  "type": "int",
                  "doc": "Position, from 1."
                },
                {
                  "name": "channels",
                  "type": {
                    "type": "array",
                    "items": "string"
                  },
                  "doc": "The channels commanded now."
                },
                {
                  "name": "commandedAt",
                  "type": {
                    "type": "long",
                    "logicalType": "timestamp-millis"
                  },
                  "doc": "When."
                },
                {
                  "name": "expiresAt",
                  "type": {
                    "type": "long",
                    "logicalType": "timestamp-millis"
                  },
                  "doc": "The dispatcher's deadline."
                }
              ]
            },
            {
              "type": "record",
              "name": "StepDeferred",
              "doc": "Channels of a step wait for the end of quiet hours.",
              "fields": [
                {
                  "name": "step",
                  "type": "int",
                  "doc": "Position, from 1."
                },
                {
                  "name": "channels",
                  "type": {
                    "type": "array",
                    "items": "string"
                  },
                  "doc": "The channels deferred."
                },
                {
                  "name": "until",
                  "type": {
                    "type": "long",
                    "logicalType": "timestamp-millis"
                  },
                  "doc": "When quiet hours are asked again."
                },
                {
                  "name": "reason",
                  "type": "string",
                  "doc": "quiet_hours."
                }
              ]
            },
            {
              "type": "record",
              "name": "EngagementRecorded",
              "doc": "A fact about a message, at most once per message and kind.",
              "fields": [
                {
                  "name": "messageId",
                  "type": "string",
                  "doc": "<sequenceId>.<step>.<channelType>."
                },
                {
                  "name": "step",
                  "type": "int",
                  "doc": "Position, from 1."
                },
                {
                  "name": "channelType",
                  "type": "string",
                  "doc": "in_app, push, sms or kakao."
                },
                {
                  "name": "kind",
                  "type": {
                    "type": "enum",
                    "name": "EngagementKind",
                    "symbols": [
                      "requested",
                      "delivered",
                      "viewed",
                      "clicked",
                      "failed",
                      "skipped",
                      "unknown"
                    ]
                  },
                  "doc": "What happened."
                },
                {
                  "name": "occurredAt",
                  "type": {
                    "type": "long",
                    "logicalType": "timestamp-millis"
                  },
                  "doc": "When, as reported."
                },
                {
                  "name": "source",
                  "type": "string",
                  "doc": "Who reported."
                },
                {
                  "name": "reason",
                  "type": [
                    "null",
                    "string"
                  ],
                  "default": null,
                  "doc": "Why it failed or was skipped."
                },
                {
                  "name": "providerMessageId",
                  "type": [
                    "null",
                    "string"
                  ],
                  "default": null,
                  "doc": "The provider's own id."
                },
                {
                  "name": "detail",
                  "type": {
                    "type": "map",
                    "values": "string"
                  },
                  "default": {},
                  "doc": "As in EngagementReported."
                }
              ]
            },
            {
              "type": "record",
              "name": "StepEnded",
              "doc": "A step is over.",
              "fields": [
                {
                  "name": "step",
                  "type": "int",
                  "doc": "Position, from 1."
                },
                {
                  "name": "reason",
                  "type": {
                    "type": "enum",
                    "name": "StepEndReason",
                    "symbols": [
                      "stopped",
                      "waitElapsed",
                      "failed",
                      "skipped",
                      "expired",
                      "superseded",
                      "cancelled",
                      "completed"
                    ]
                  },
                  "doc": "Which of the eight ways."
                },
                {
                  "name": "engagement",
                  "type": [
                    "null",
                    "EngagementKind"
                  ],
                  "default": null,
                  "doc": "The kind reported, when stopped."
                },
                {
                  "name": "note",
                  "type": [
                    "null",
                    "string"
                  ],
                  "default": null,
                  "doc": "receipts_behind: the timer fired although reports were still waiting."
                }
              ]
            },
            {
              "type": "record",
              "name": "EscalationRegretted",
              "doc": "A later step was sent although this step's condition then came in.",
              "fields": [
                {
                  "name": "step",
                  "type": "int",
                  "doc": "The step whose condition came in late."
                },
                {
                  "name": "laterSteps",
                  "type": {
                    "type": "array",
                    "items": "int"
                  },
                  "doc": "Later steps with a message sent, or commanded and open."
                },
                {
                  "name": "kind",
                  "type": "EngagementKind",
                  "doc": "The engagement that came late."
                },
                {
                  "name": "lateByMs",
                  "type": "long",
                  "doc": "Milliseconds from the step's end to the record of the engagement."
                }
              ]
            },
            {
              "type": "record",
              "name": "SequenceEnded",
              "doc": "The sequence is over; only EngagementRecorded and EscalationRegretted may follow.",
              "fields": [
                {
                  "name": "outcome",
                  "type": {
                    "type": "enum",
                    "name": "SequenceOutcome",
                    "symbols": [
                      "stopped",
                      "exhausted",
                      "unreachable",
                      "cancelled"
                    ]
                  },
                  "doc": "How it ended."
                },
                {
                  "name": "step",
                  "type": [
                    "null",
                    "int"
                  ],
                  "default": null,
                  "doc": "The step that stopped it; only for stopped."
                },
                {
                  "name": "engagement",
                  "type": [
                    "null",
                    "EngagementKind"
                  ],
                  "default": null,
                  "doc": "The kind that stopped it; only for stopped."
                }
              ]
            }
          ]
        }
      }
    ]
  },
  "TemplateChanged": {
    "type": "record",
    "name": "TemplateChanged",
    "namespace": "stepcast.v1",
    "doc": "A template got a new approved version, was archived or unarchived.",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant."
      },
      {
        "name": "templateId",
        "type": "string",
        "doc": "^[a-z0-9][a-z0-9_-]{0,63}$."
      },
      {
        "name": "changedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When."
      },
      {
        "name": "change",
        "doc": "What changed.",
        "type": [
          {
            "type": "record",
            "name": "TemplateApproved",
            "doc": "An immutable version was made.",
            "fields": [
              {
                "name": "version",
                "type": "int",
                "doc": "1, 2, 3 …"
              },
              {
                "name": "name",
                "type": "string",
                "doc": "Display name."
              },
              {
                "name": "category",
                "type": "string",
                "doc": "Onboarding, Transactional, Marketing, Product_Showcase, Alerts, Polls or Custom."
              },
              {
                "name": "variableSchema",
                "type": "string",
                "doc": "JSON text: [{ name, type, required, default }]."
              },
              {
                "name": "channels",
                "type": "string",
                "doc": "JSON text: [{ channelType, content }]."
              },
              {
                "name": "config",
                "type": "string",
                "doc": "JSON text: { sequenceEnabled, sequence }."
              }
            ]
          },
          {
            "type": "record",
            "name": "TemplateArchived",
            "doc": "New sends are refused from now on.",
            "fields": [
              {
                "name": "archivedAt",
                "type": {
                  "type": "long",
                  "logicalType": "timestamp-millis"
                },
                "doc": "When."
              }
            ]
          },
          {
            "type": "record",
            "name": "TemplateUnarchived",
            "doc": "New sends are accepted again.",
            "fields": []
          }
        ]
      }
    ]
  },
  "UserChanged": {
    "type": "record",
    "name": "UserChanged",
    "namespace": "stepcast.v1",
    "doc": "The whole of what is known of one user; a null value on the topic means erased.",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "The tenant."
      },
      {
        "name": "userId",
        "type": "string",
        "doc": "1..128 characters."
      },
      {
        "name": "phoneNumber",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "E.164."
      },
      {
        "name": "kakaoPhoneNumber",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "E.164."
      },
      {
        "name": "locale",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "BCP 47."
      },
      {
        "name": "timezone",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "IANA name."
      },
      {
        "name": "devices",
        "type": {
          "type": "array",
          "items": {
            "type": "record",
            "name": "Device",
            "fields": [
              {
                "name": "deviceId",
                "type": "string",
                "doc": "The client's id of the device."
              },
              {
                "name": "platform",
                "type": {
                  "type": "enum",
                  "name": "DevicePlatform",
                  "symbols": [
                    "fcm",
                    "apns"
                  ]
                },
                "doc": "Which push service."
              },
              {
                "name": "token",
                "type": "string",
                "doc": "The push token."
              },
              {
                "name": "updatedAt",
                "type": {
                  "type": "long",
                  "logicalType": "timestamp-millis"
                },
                "doc": "When it was registered last."
              }
            ]
          }
        },
        "default": [],
        "doc": "Push targets."
      },
      {
        "name": "optOutChannels",
        "type": {
          "type": "array",
          "items": "string"
        },
        "default": [],
        "doc": "Channels the user does not want."
      },
      {
        "name": "optOutCategories",
        "type": {
          "type": "array",
          "items": "string"
        },
        "default": [],
        "doc": "Template categories the user does not want."
      },
      {
        "name": "quietHoursStart",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "HH:mm in the user's timezone."
      },
      {
        "name": "quietHoursEnd",
        "type": [
          "null",
          "string"
        ],
        "default": null,
        "doc": "HH:mm in the user's timezone."
      },
      {
        "name": "updatedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When."
      }
    ]
  },
  "WorkspaceChanged": {
    "type": "record",
    "name": "WorkspaceChanged",
    "namespace": "stepcast.v1",
    "doc": "A workspace was made or its settings changed.",
    "fields": [
      {
        "name": "workspaceId",
        "type": "string",
        "doc": "^[a-z0-9][a-z0-9-]{0,62}$."
      },
      {
        "name": "settings",
        "type": "string",
        "doc": "JSON text: { name, timezone, currency, … }."
      },
      {
        "name": "updatedAt",
        "type": {
          "type": "long",
          "logicalType": "timestamp-millis"
        },
        "doc": "When."
      }
    ]
  }
} as const

/** The TypeScript type of every record that crosses a process, by record name. */
export interface AvroRecords {
  CancelRequested: CancelRequested
  DispatchStep: DispatchStep
  EngagementReported: EngagementReported
  SendRequested: SendRequested
  SequenceChanged: SequenceChanged
  TemplateChanged: TemplateChanged
  UserChanged: UserChanged
  WorkspaceChanged: WorkspaceChanged
}
