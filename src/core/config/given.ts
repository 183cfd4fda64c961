/** One value as somebody wrote it, before its type and its rule are checked. */

export type GivenKind = "text" | "number" | "boolean" | "array" | "object" | "word"

export interface Given {
  /** `word`: from a variable or a flag, where everything is text. */
  readonly kind: GivenKind
  /** A text's contents; for everything else the token as it is written. */
  readonly text: string
  /** `config.jsonc:12:5`, `NETSY_STORAGE` or `--storage`. */
  readonly source: string
}

export const showGiven = (given: Given): string =>
  given.kind === "text" || given.kind === "word" ? JSON.stringify(given.text) : given.text.replace(/\s+/g, " ")
