// A Jest reporter: adds this run's counts to those of earlier runs of the same command, and prints the plain closing line.
const { readFileSync, writeFileSync } = require('node:fs')

module.exports = class TestSummary {
  onRunComplete(_contexts, results) {
    const file = process.env.STEPCAST_TEST_COUNTS
    const before = file ? readCounts(file) : { passed: 0, failed: 0 }
    // A suite that could not even run counts as one failure: none of its tests was counted.
    const passed = before.passed + results.numPassedTests
    const failed = before.failed + results.numFailedTests + results.numRuntimeErrorTestSuites
    if (file) writeFileSync(file, JSON.stringify({ passed, failed }))
    else console.log(`Tests: ${passed} passed, ${failed} failed`)
  }
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 0 }
  }
}
