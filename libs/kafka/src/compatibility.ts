// The compatibility level of a subject: BACKWARD or stricter, so that today's readers read what is on the topics.

/** Levels under which every new schema reads what was written by the one before. */
const goodLevels: readonly string[] = ['BACKWARD', 'BACKWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE']

/** A sentence about a level that is too weak; null where it is good, or none is set: BACKWARD is then set. */
export function judgeLevel(subject: string, level: string | null): string | null {
  if (level === null || goodLevels.includes(level)) return null
  return (
    `subject ${subject} of the schema registry has the compatibility level ${level}, under which a schema that cannot read what is on the topic would be taken: ` +
    `it must be one of ${goodLevels.join(', ')} (PUT /config/${subject} { "compatibility": "BACKWARD" })`
  )
}
