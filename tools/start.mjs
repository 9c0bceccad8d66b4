// `npm start`, `npm run stop`, `npm run reset` and `npm run demo` on a checkout in any state: installs and builds what is missing, then runs.
import { installAndBuild } from './install.mjs'

/** What each command runs; built by then. */
const programs = {
  start: './local/dist/start.js',
  stop: './local/dist/stop.js',
  reset: './local/dist/stop.js',
  demo: './demo/dist/demo.js',
  bench: './bench/dist/bench.js',
  chaos: './chaos/dist/chaos.js',
  'upgrade-check': './upgrade/dist/upgradeCheck.js',
  'record-release': './upgrade/dist/recordRelease.js',
  'fuzz-topics': './fuzz/dist/fuzz.js',
  'set-up': './local/dist/setUp.js',
  'replay-dead-letters': './local/dist/replayDeadLetters.js',
}

try {
  const program = programs[process.argv[2]] ?? programs.start
  await installAndBuild()
  // In this process: one process less to run, and signals meant for it arrive.
  await import(program)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
