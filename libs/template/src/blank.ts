// Whether there is anything to read in a text.

// White space, control and format characters (zero-width ones, direction marks), what Unicode lets nobody see (Hangul fillers, joiners,
// variation selectors), and the Braille pattern without a dot.
const nothing = /^[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u

/** Whether a person sees nothing of the text. */
export const isBlank = (text: string): boolean => nothing.test(text)
