// What the programs of `bench/peers/` say on standard output: one JSON object a line. Agreed on in bench/peers/README.md.
import { phaseNames, type PhaseName, type Phases, type Result } from './result'

/** A peer's own account of its run; the harness adds CPU and bytes. */
export interface PeerResult extends Pick<Result, 'name' | 'n' | 'sequencesPerSecond' | 'latenessMs' | 'valid' | 'problems'> {
  readonly version?: string
  readonly phases: Phases
  readonly seconds?: Readonly<Record<PhaseName, number>>
  readonly notes?: string
}

/** One line. */
export type PeerLine =
  | { readonly kind: 'progress'; readonly phase: string; readonly done: number; readonly of: number }
  | { readonly kind: 'mark'; readonly phase: PhaseName; readonly event: 'begin' | 'end' }
  | { readonly kind: 'result'; readonly result: PeerResult }

/**
 * Reads one line of a peer.
 * @throws Error naming what is wrong with it
 */
export function parseLine(line: string): PeerLine {
  const said = parseJson(line)
  const { progress, phase, event, result } = said
  if (isObject(progress)) return { kind: 'progress', phase: String(progress.phase), done: Number(progress.done), of: Number(progress.of) }
  if (isObject(result)) return { kind: 'result', result: resultOf(result) }
  if (phaseNames.includes(phase as PhaseName) && (event === 'begin' || event === 'end'))
    return { kind: 'mark', phase: phase as PhaseName, event }
  throw new Error(`a line that is no progress, mark or result: ${line.slice(0, 200)}`)
}

function parseJson(line: string): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(line)
    if (isObject(said)) return said
  } catch {
    // Said below, with the line.
  }
  throw new Error(`a line that is no JSON object: ${line.slice(0, 200)}`)
}

function resultOf(said: Record<string, unknown>): PeerResult {
  const { phases } = said
  const missing = phaseNames.filter((phase) => !isObject(phases) || !isRate(phases[phase]))
  if (missing.length > 0) throw new Error(`a result without a rate for ${missing.join(', ')}`)
  if (!isRate(said.sequencesPerSecond) || !isRate(said.n)) throw new Error('a result without n or sequencesPerSecond')
  return {
    ...(said as unknown as PeerResult),
    valid: said.valid === true,
    problems: Array.isArray(said.problems) ? said.problems.map(String) : [],
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isRate = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0
