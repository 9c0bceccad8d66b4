// `npm run bench`: the engine at full speed, on real servers, with figures that anyone can reproduce.
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { Progress } from './progress'
import { benchStepcast } from './stepcast'

const help = `npm run bench -- [options]
  --n 60000            sequences of two steps; half are stopped in time, half time out
  --processes 1        orchestrator processes
  --peak-only          leave out timer lateness and latency
  --cpu-profiles DIR   write CPU profiles of the orchestrators
  --json               print one object and nothing else`

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(2).filter((word) => word !== 'bench'),
    options: {
      n: { type: 'string', default: '60000' }, processes: { type: 'string', default: '1' }, 'peak-only': { type: 'boolean', default: false },
      'cpu-profiles': { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const n = Number(values.n)
  if (!Number.isInteger(n) || n < 1_000) throw new Error(`--n ${values.n}: give a whole number of 1,000 or more`)
  const processes = Number(values.processes)
  if (!Number.isInteger(processes) || processes < 1 || processes > 12) throw new Error(`--processes ${values.processes}: give 1 to 12`)
  const machine = { cores: cpus().length, cpu: cpus()[0]?.model ?? 'unknown', memoryGb: Math.round(totalmem() / 2 ** 30), node: process.versions.node, platform: process.platform }
  const result = await benchStepcast({ n, processes, cpuProfiles: values['cpu-profiles'] ?? null, peakOnly: values['peak-only'] }, new Progress(values.json ? null : process.stdout))
  if (values.json) console.log(JSON.stringify({ machine, results: [result], ratios: {} }, null, 2))
  else {
    console.log(`\n${result.sequencesPerSecond.toLocaleString('en')} sequences/s over all phases on ${machine.cores} cores (${machine.cpu}), Node ${machine.node}`)
    console.log(`CPU seconds per 1,000 sequences: ${Object.entries(result.cpuSecondsPer1000).map(([name, seconds]) => `${name} ${seconds}`).join(', ')}`)
    console.log(`${result.bytesPerSequence} bytes per sequence in PostgreSQL, history included`)
    console.log(result.valid ? 'Every count is right.' : `WRONG: ${result.problems.join('; ')}`)
  }
  process.exit(result.valid ? 0 : 1)
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
