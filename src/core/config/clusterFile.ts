/**
 * The cluster file: JSON with comments and trailing commas. Keys match without regard to case, as in Go's decoder;
 * the last one wins. Unknown keys are warned about and ignored. Types and rules of values are checked elsewhere.
 */
import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser"
import { type FileKey, fileGroups, fileKeys } from "./fields.ts"
import type { Given, GivenKind } from "./given.ts"
import { nearest } from "./nearest.ts"
import type { Problem } from "./problem.ts"

export interface ClusterFile {
  readonly given: ReadonlyMap<FileKey, Given>
  readonly problems: ReadonlyArray<Problem>
  readonly warnings: ReadonlyArray<string>
}

const lengthMax = 1 << 20
const depthMax = 32
const syntaxProblemsMax = 20
const unknownKeysMax = 50

const knownKeys: ReadonlyMap<string, FileKey> = new Map(fileKeys.map((key) => [key, key]))

const syntaxTexts: Readonly<Record<string, string>> = {
  InvalidSymbol: "a value that JSON knows (text in double quotes, number, true, false, null, {…}, […])",
  InvalidNumberFormat: "a number as in JSON",
  PropertyNameExpected: "a key in double quotes",
  ValueExpected: "a value",
  ColonExpected: "a colon after the key",
  CommaExpected: "a comma between two entries",
  CloseBraceExpected: "a closing }",
  CloseBracketExpected: "a closing ]",
  EndOfFileExpected: "nothing after the closing }",
  InvalidCommentToken: "a comment that starts with // or /*",
  UnexpectedEndOfComment: "a comment that ends with */",
  UnexpectedEndOfString: "a text that ends with a double quote on the same line",
  UnexpectedEndOfNumber: "a complete number",
  InvalidUnicode: "\\u and four hexadecimal digits",
  InvalidEscapeCharacter: 'an escape that JSON knows (\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)',
  InvalidCharacter: "no control characters in a text"
}

/** Line and column from 1, the column in characters. */
const placeOf = (text: string, offset: number): string => {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf("\n") + 1
  const line = before.split("\n").length
  return `${line}:${Array.from(before.slice(lineStart)).length + 1}`
}

/** Tokens of jsonc-parser's scanner; its own enum exists for the type checker only. */
const token = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 } as const

/** The parser recurses, so depth is bounded before it runs. Undefined: shallow enough. */
const tooDeepAt = (text: string): number | undefined => {
  const scanner = createScanner(text, true)
  let depth = 0
  for (let next: number = scanner.scan(); next !== token.end; next = scanner.scan()) {
    if (next === token.openBrace || next === token.openBracket) {
      if (++depth > depthMax) return scanner.getTokenOffset()
    } else if (next === token.closeBrace || next === token.closeBracket) depth--
  }
  return undefined
}

const kinds: Readonly<Record<string, GivenKind>> = {
  string: "text",
  number: "number",
  boolean: "boolean",
  array: "array",
  object: "object"
}

export const parseClusterFile = (name: string, contents: string): ClusterFile => {
  const text = contents.startsWith("\ufeff") ? contents.slice(1) : contents
  const given = new Map<FileKey, Given>()
  const problems: Array<Problem> = []
  const warnings: Array<string> = []
  const result = { given, problems, warnings }
  const at = (offset: number): string => `${name}:${placeOf(text, offset)}`

  if (text.length > lengthMax) {
    problems.push({ key: name, value: `${text.length} characters`, allowed: `at most ${lengthMax} characters` })
    return result
  }
  const deep = tooDeepAt(text)
  if (deep !== undefined) {
    problems.push({
      key: at(deep),
      value: `more than ${depthMax} levels`,
      allowed: `at most ${depthMax} levels of {…} and […]`
    })
    return result
  }
  const errors: Array<ParseError> = []
  const root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false, allowEmptyContent: false })
  for (const { error, offset, length } of errors.slice(0, syntaxProblemsMax)) {
    const found = text.slice(offset, offset + Math.max(length, 1)).trim()
    const allowed = syntaxTexts[printParseErrorCode(error)] ?? "JSON with comments"
    problems.push({ key: at(offset), value: found === "" ? "the end" : found, allowed })
  }
  if (errors.length > 0 || root === undefined) return result
  if (root.type !== "object") {
    problems.push({ key: at(root.offset), value: root.type, allowed: 'an object: { "cluster_id": … }' })
    return result
  }

  const walk = (group: Node, prefix: string): void => {
    for (const property of group.children ?? []) {
      const [keyNode, valueNode] = property.children ?? []
      if (keyNode === undefined || valueNode === undefined) continue
      const named = `${prefix}${String(keyNode.value)}`
      const path = named.toLowerCase()
      const key = knownKeys.get(path)
      if (key !== undefined) {
        if (given.has(key)) warnings.push(`${at(keyNode.offset)}: ${key} is given more than once; the last one counts`)
        if (valueNode.type === "null") {
          given.delete(key)
          continue
        }
        const written = text.slice(valueNode.offset, valueNode.offset + valueNode.length)
        const kind = kinds[valueNode.type] ?? "object"
        given.set(key, {
          kind,
          text: kind === "text" ? String(valueNode.value) : written,
          source: at(valueNode.offset)
        })
      } else if (fileGroups.includes(path)) {
        if (valueNode.type === "object") walk(valueNode, `${path}.`)
        else if (valueNode.type !== "null") {
          const value = text.slice(valueNode.offset, valueNode.offset + valueNode.length)
          problems.push({ key: path, value, allowed: "an object: { … }", source: at(valueNode.offset) })
        }
      } else if (warnings.length < unknownKeysMax) {
        const meant = nearest(path, [...fileKeys, ...fileGroups])
        const hint = meant === undefined ? "" : `; did you mean ${meant}?`
        warnings.push(`${at(keyNode.offset)}: unknown key ${named.slice(0, 80)} is ignored${hint}`)
      }
    }
  }
  walk(root, "")
  return result
}
