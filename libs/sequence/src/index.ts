// The pure core of Stepcast: everything a shell, a simulator, a replay or a timeline needs of it.
export * from './sequence'
export { decide } from './decide'
export { evolve, fold } from './evolve'
export { react } from './react'
export { timerOf } from './timer'
export { explain } from './explain'
export { upcast } from './upcast'
export { silenceGraceMs, statusOf } from './message'
