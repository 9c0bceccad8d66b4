// Reads the body of a send as it comes: its receivers one by one, so that a body of 64 MB costs neither its size in values nor a second of everybody's time.
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { canonicalJson, type FieldError, type HeldBytes, jsonOf, parse, Problem, refused, unreadable } from '@stepcast/service'
import type { Variables } from '@stepcast/template'
import { ListSplitter } from './listSplitter'
import { maxReceivers, receiverBody, type AskedReceiver, type SendRequest, withoutReceivers } from './request'

const megabyte = 1024 * 1024
// As parse has it.
const maxErrors = 100

/** A request that is read, and what it holds of the memory for bodies. */
export interface ReadSend {
  readonly request: SendRequest
  /** Of all that was asked: the same however the JSON was written, and for absent, null and empty maps. */
  readonly fingerprint: string
  /** Bytes to be given back when the request is done with. */
  readonly heldBytes: number
}

/**
 * Reads a send.
 * @param pieces the body, UTF-8; the next piece is asked for only when there is room
 * @param held memory for the bodies of all requests; whoever finds no room within 2 s is told to come again
 * @throws Problem 400, 413, 422 naming fields, 503; then nothing is held
 */
export async function readSend(pieces: AsyncIterable<Buffer>, held: HeldBytes): Promise<ReadSend> {
  const receivers: AskedReceiver[] = []
  const errors: FieldError[] = []
  const hash = createHash('sha256').update('{"receivers":[')
  let kept = 0
  const splitter = new ListSplitter({
    list: 'receivers',
    itemBytes: megabyte,
    restBytes: megabyte,
    onTooLarge: tooLarge,
    onItem: (item, index) => {
      if (index >= maxReceivers) throw refused([{ path: '/receivers', message: `must have at most ${maxReceivers} items` }])
      const { userId, variables } = receiverOf(item, index, errors) ?? { userId: '', variables: null }
      const given = unlessEmpty(variables)
      hash.update(`${index === 0 ? '' : ','}${canonicalJson({ userId, ...(given && { variables: given }) })}`)
      receivers.push({ userId, variables: given && Buffer.from(JSON.stringify(given)) })
    },
  })
  try {
    for await (const piece of pieces) {
      await held.room(piece.length)
      kept += piece.length
      splitter.push(piece)
      // Others have their turn between pieces, however fast they come.
      await turn()
    }
    const rest = restOf(splitter.end(), errors)
    const { tag, templateId, templateVersion, variables } = rest
    const given = unlessEmpty(variables)
    hash.update(
      `],${canonicalJson({ ...(tag != null && { tag }), templateId, ...(templateVersion != null && { templateVersion }), ...(given && { variables: given }) }).slice(1)}`,
    )
    const request = { templateId, templateVersion: templateVersion ?? null, tag: tag ?? null, variables: given ?? {}, receivers }
    return { request, fingerprint: hash.digest('hex'), heldBytes: kept }
  } catch (error) {
    held.give(kept)
    throw error
  }
}

/** Absent, null and an empty map are the same. */
const unlessEmpty = (variables: Variables | null | undefined): Variables | null =>
  variables == null || Object.keys(variables).length === 0 ? null : variables

function receiverOf(item: Buffer, index: number, errors: FieldError[]): ReturnType<typeof receiverBody.parse> | null {
  const at = `/receivers/${index}`
  try {
    return parse(receiverBody, jsonOf(item), at)
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 422) throw error
    errors.push(...error.errors)
    if (errors.length >= maxErrors) throw refused(errors.slice(0, maxErrors))
    return null
  }
}

/** What stands beside the receivers. @throws Problem 422 with what is wrong of it and of them */
function restOf(bytes: Buffer, errors: readonly FieldError[]): ReturnType<typeof withoutReceivers.parse> {
  if (bytes.length === 0) throw unreadable([{ path: '', message: 'is missing: send JSON with Content-Type: application/json' }])
  const rest = jsonOf(bytes)
  try {
    const read = parse(withoutReceivers, rest)
    if (errors.length === 0) return read
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw refused([...error.errors, ...errors].slice(0, maxErrors))
  }
  throw refused(errors)
}

function tooLarge(index: number | null): never {
  if (index !== null) throw refused([{ path: `/receivers/${index}`, message: 'is larger than 1 MB' }])
  throw new Problem({ status: 413, detail: 'What stands beside the receivers is larger than 1 MB.', headers: { connection: 'close' } })
}
