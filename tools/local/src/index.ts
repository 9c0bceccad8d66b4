// The whole system on one machine, for `npm start`, the demo and whole-system tests.
export { startSystem, lockFile, type Service, type System } from './startSystem'
export { type SystemOptions } from './systemOptions'
export { type DemoWorkspace } from './demoWorkspace'
export { connectProviders, sandboxAccounts, type Connecting } from './providerAccounts'
export { type DevEnv } from './devEnv'
export { signInsOf, withoutStraySignIns, type Foreign } from './signIn'
export { preflight, PreflightFailed, type PreflightOptions } from './preflight'
export { checkout, homeFrom, settingsFrom } from './settings'
