// The level of a subject: as strict as ours or stricter.
import { judgeLevel } from './compatibility'

it.each([null, 'BACKWARD', 'BACKWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE'])('%s is good', (level) =>
  expect(judgeLevel('s', level)).toBeNull(),
)

it.each(['NONE', 'FORWARD', 'FORWARD_TRANSITIVE'])('%s names the subject', (level) => {
  expect(judgeLevel('stepcast.sends.v1-value', level)).toContain(
    `subject stepcast.sends.v1-value of the schema registry has the compatibility level ${level}`,
  )
})
