// The benchmark's parts, for specs.
export { cpuSeconds, percentile } from './cpu'
