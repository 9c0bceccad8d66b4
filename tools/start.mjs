// `npm start`, `npm run stop`, `npm run reset` and `npm run demo` on a checkout in any state: installs and builds what is missing, then runs.
import { installAndBuild } from './install.mjs'

/** The program of each command, with options; built by then. */
const programs = {
  start: ['./local/dist/start.js'],
  stop: ['./local/dist/stop.js'],
  reset: ['./local/dist/stop.js', '--delete-data'],
  demo: ['./demo/dist/demo.js'],
  bench: ['./bench/dist/bench.js'],
  chaos: ['./chaos/dist/chaos.js'],
  'upgrade-check': ['./upgrade/dist/upgradeCheck.js'],
  'record-release': ['./upgrade/dist/recordRelease.js'],
  foreign: ['./foreign/dist/foreign.js'],
  'fuzz-topics': ['./fuzz/dist/fuzz.js'],
  'set-up': ['./local/dist/setUp.js'],
  'replay-dead-letters': ['./local/dist/replayDeadLetters.js'],
}

try {
  const command = Object.hasOwn(programs, process.argv[2]) ? process.argv[2] : null
  const [program, ...options] = programs[command ?? 'start']
  // A program finds its options where they stand when it is started by itself.
  process.argv.splice(2, command === null ? 0 : 1, ...options)
  await installAndBuild()
  // In this process: one process less to run, and signals meant for it arrive.
  await import(program)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
