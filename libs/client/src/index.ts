// The feed and the receipts of one user, for browsers and Node, without dependencies.
export { StepcastClient, type StepcastClientOptions } from './client'
export { StepcastProblem, StepcastUnreachable, type FieldError } from './errors'
export { Feed, type FeedQuery } from './feed'
export type { FollowOptions } from './follow'
export type { ObserveOptions } from './observeViewed'
export { Push } from './push'
export type { Button, FeedContent, FeedItem, FeedPage, ReadState } from './item'
