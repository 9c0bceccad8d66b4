// What is said when the environment is wrong.
import { InstallationError } from '@stepcast/contracts'

/** A variable of the environment is missing or wrong; the message names it and what it may be. */
export class ConfigError extends InstallationError {}
