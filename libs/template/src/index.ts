// What a template is once it has been checked: content, variables, steps. Pure: no packages, no clock, no I/O.
export * from './template'
export * from './variables'
export * from './render'
export * from './steps'
