// Why a batch of records cannot be read.

/** A batch cannot be read: the message says why, without its data. */
export class UnreadableBatch extends Error {}

/** More bytes than are allowed would come out. */
export class TooManyBytes extends Error {}
