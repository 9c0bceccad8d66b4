// What specs share: the stack, a topic reader, waiting.
export { eventually } from './eventually'
export { loadProtocol } from './loadProtocol'
export { approveTwoSteps, engagementReported, produceEngagements, produceSends, sendRequested } from './play'
export { SpecProcesses, turnsOf, type Session, type SpecProcess } from './specProcesses'
export { specPartitions, specStack, type SpecStack } from './specStack'
export { readDeadLetters, readTopic, readValues, type ReadDeadLetter } from './topicReader'
export { watchDeadLetters, watchTopic, type WatchedDeadLetters, type WatchedTopic } from './watch'
