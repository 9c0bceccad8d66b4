// The state of a template in a few characters, so that nobody writes over what somebody else has written since (RFC 9110 §13.1.1).
import { createHash } from 'node:crypto'
import { preconditionFailed } from '@stepcast/service'
import type { Template } from './template.entity'

/** The entity tag of a template as it stands; another after every change of it. */
export function etagOf({ definition, hasDraft, version, archivedAt, updatedAt }: Template): string {
  const state = JSON.stringify([definition, hasDraft, version, archivedAt?.getTime() ?? null, updatedAt.getTime()])
  return `"${createHash('sha256').update(state).digest('base64url').slice(0, 22)}"`
}

/**
 * Holds a template against the tags of `If-Match`; null: none was sent.
 * @throws Problem 412 when none of them is its tag. Weak ones never are.
 */
export function expectTag(template: Template, ifMatch: string | null): void {
  if (ifMatch === null || ifMatch.trim() === '*') return
  const tags: readonly string[] = ifMatch.match(/(?:W\/)?"[^"]*"/g) ?? []
  if (tags.includes(etagOf(template))) return
  throw preconditionFailed(
    `Template "${template.templateId}" has been changed since you read it, or If-Match is not the ETag you were given: read it again, and write your change over what is there now.`,
  )
}
