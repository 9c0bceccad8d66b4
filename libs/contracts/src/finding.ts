// What a look at somebody's servers found, before anything is made on them.

/** An error keeps Stepcast from starting, a warning does not. The text is one sentence that names its variable, and says what to do. */
export interface Finding {
  readonly kind: 'error' | 'warning'
  readonly text: string
}
