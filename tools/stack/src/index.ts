// The local stack: a real broker, schema registry and database, and what is needed to run further programs beside them.
export { startStack, type Part, type Stack, type StackOptions } from './startStack'
export { fetchJars } from './jars'
export { javaCommand } from './java'
export { freePort, isPortFree, keepPorts, loopback, namedPorts, parsePort, PortInUse, requirePortsFree, type WantedPort } from './ports'
export { endOfLog, Program, ProgramFailed, type ProgramExit, type ProgramPlan } from './program'
export {
  AlreadyRunning,
  forgetProcess,
  processIdentity,
  recordedProcesses,
  recordProcess,
  remainsOf,
  stopLeftovers,
  type RecordedProcess,
} from './pidFile'
export { createDatabase, answers } from './postgres'
export { lockHolder, releaseLock, takeLock, type LockHolder } from './lock'
export { lastLines, openLog } from './logFile'
export { sleep, until } from './wait'
