/**
 * The subject alternative names of a certificate as Node prints them: `DNS:localhost, URI:netsy://c/peer/n`. A value
 * that could be mistaken for two is printed in quotes by Node; only a reader that honours them cannot be tricked by
 * a name such as `URI:"x, URI:netsy://c/client/admin"`.
 */

export interface AltName {
  /** `DNS`, `URI`, `IP Address` … */
  readonly type: string
  readonly value: string
}

/** Undefined: not a text that Node writes. */
export const parseSubjectAltName = (text: string): ReadonlyArray<AltName> | undefined => {
  const entry = /([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^",]*))(?:, |$)/y
  const names: Array<AltName> = []
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text)
    if (match === null) return undefined
    const [, type = "", quoted, plain = ""] = match
    if (quoted === undefined) names.push({ type, value: plain })
    else {
      const value = unquoted(quoted)
      if (value === undefined) return undefined
      names.push({ type, value })
    }
  }
  return text.endsWith(", ") ? undefined : names
}

const unquoted = (quoted: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(quoted)
    return typeof value === "string" ? value : undefined
  } catch {
    return undefined
  }
}
