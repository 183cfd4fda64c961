/** The rule for cluster ids, node ids and the names in peer certificates (netsy-1x.md 12.2). */

export const identifierRule = "1 to 32 characters of a-z, 0-9 and -, no - at either end, no --"

export const isIdentifier = (text: string): boolean =>
  text.length <= 32 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text) && !text.includes("--")
