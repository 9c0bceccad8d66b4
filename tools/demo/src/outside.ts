// The plain JavaScript programs beside this file, each run as a process of its own: nothing of Stepcast is in them.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { withoutStraySignIns, type Foreign } from '@stepcast/local'

/** Where a record is. */
export interface Stored {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** A record that nobody could use, by where its producer put it. */
export interface DeadLetter extends Stored {
  readonly reason: string
  readonly detail: string
}

/** What a program outside needs to know: `KAFKA_BROKERS`, `SCHEMA_REGISTRY_URL`, and how to sign in to them. */
export type Addresses = Readonly<Record<'KAFKA_BROKERS' | 'SCHEMA_REGISTRY_URL', string> & Record<string, string>>

const nobodys: Foreign = { kafka: false, registry: false, database: false }

type Program = ChildProcessByStdio<Writable, Readable, null>

function start(file: string, args: readonly string[], addresses: Addresses): Program {
  // The sources: what is to be copied is what runs.
  const path = join(__dirname, '..', 'src', file)
  return spawn(process.execPath, [path, ...args], {
    env: { ...withoutStraySignIns(process.env, nobodys), ...addresses },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

const finished = (file: string, program: Program): Promise<void> =>
  new Promise((done, fail) => {
    program.once('error', fail)
    program.once('close', (code) => (code === 0 ? done() : fail(new Error(`${file} ended with code ${code}`))))
  })

/** `outsider.mjs`, running. */
export class Outsider {
  private readonly program: Program
  private readonly finished: Promise<void>
  private readonly waiting: { done: (stored: Stored) => void; fail: (error: Error) => void }[] = []

  constructor(addresses: Addresses) {
    this.program = start('outsider.mjs', [], addresses)
    this.finished = finished('outsider.mjs', this.program)
    this.finished.catch((error: Error) => this.waiting.splice(0).forEach(({ fail }) => fail(error)))
    createInterface({ input: this.program.stdout }).on('line', (line) => {
      if (line.startsWith('{"topic"')) this.waiting.shift()?.done(JSON.parse(line) as Stored)
    })
  }

  /** Sends one; answers once Kafka has it. */
  send(request: object): Promise<Stored> {
    return new Promise((done, fail) => {
      this.waiting.push({ done, fail })
      this.program.stdin.write(`${JSON.stringify(request)}\n`)
    })
  }

  /** Nothing more will be sent. */
  end(): Promise<void> {
    this.program.stdin.end()
    return this.finished
  }

  /** Ends it now. */
  kill(): void {
    this.program.kill('SIGKILL')
  }
}

/** Runs `garbage.mjs`. @returns where its records are */
export const sendGarbage = (addresses: Addresses): Promise<Stored[]> => linesOf<Stored>('garbage.mjs', [], addresses)

/** Runs `deadLetters.mjs`. @returns the dead letters since then */
export const readDeadLetters = (addresses: Addresses, since: Date): Promise<DeadLetter[]> =>
  linesOf<DeadLetter>('deadLetters.mjs', [String(since.getTime())], addresses)

async function linesOf<T>(file: string, args: readonly string[], addresses: Addresses): Promise<T[]> {
  const program = start(file, args, addresses)
  program.stdin.end()
  const lines: T[] = []
  createInterface({ input: program.stdout }).on('line', (line) => {
    if (line.startsWith('{"topic"')) lines.push(JSON.parse(line) as T)
  })
  await finished(file, program)
  return lines
}
