// A Jest reporter: adds this run's counts to those of earlier runs of the same command, and prints the plain closing line.
const { readFileSync, writeFileSync } = require('node:fs')
const { relative, resolve } = require('node:path')

const checkout = resolve(__dirname, '..')

module.exports = class TestSummary {
  onRunComplete(_contexts, results) {
    const file = process.env.STEPCAST_TEST_COUNTS
    const before = file ? readCounts(file) : { passed: 0, failed: 0, seconds: {} }
    // A suite that could not even run counts as one failure: none of its tests was counted.
    const passed = before.passed + results.numPassedTests
    const failed = before.failed + results.numFailedTests + results.numRuntimeErrorTestSuites
    const seconds = { ...before.seconds }
    for (const { testFilePath, perfStats } of results.testResults) seconds[relative(checkout, testFilePath)] = perfStats.runtime / 1_000
    if (file) writeFileSync(file, JSON.stringify({ passed, failed, seconds }))
    else console.log(`Tests: ${passed} passed, ${failed} failed`)
  }
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, seconds: {} }
  }
}
