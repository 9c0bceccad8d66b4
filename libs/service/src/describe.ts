// What a call says of itself in the API documents, beside its route and schemas.
import { SetMetadata } from '@nestjs/common'
import type { ZodType } from 'zod'

/** A call in words. */
export interface CallDescription {
  /** A few words, imperative: `Make an API key`. */
  readonly summary: string
  /** Meaning, units and errors beyond the common ones. */
  readonly description?: string
  /** The shape of the body, where the handler reads it itself. */
  readonly body?: ZodType
  /** The shape of the answer. */
  readonly answer?: ZodType
}

const descriptionKey = 'stepcast:description'

/** Describes a call for OpenAPI and the readable page. */
export const Describe = (description: CallDescription): MethodDecorator => SetMetadata(descriptionKey, description)

/** Leaves a controller or a call out of the documents: it is not part of the API. */
export const Undescribed = (): MethodDecorator & ClassDecorator => SetMetadata(descriptionKey, null)

/** What a call says of itself: undefined where it says nothing, null where it is left out. */
export const descriptionOf = (controller: object, handler: object): CallDescription | null | undefined => {
  const own = Reflect.getMetadata(descriptionKey, handler) as CallDescription | null | undefined
  return own === undefined ? (Reflect.getMetadata(descriptionKey, controller) as CallDescription | null | undefined) : own
}
