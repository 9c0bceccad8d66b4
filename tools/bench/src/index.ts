// The benchmark's parts, for specs.
export { cpuSeconds } from './cpu'
export { percentile } from './numbers'
