/**
 * The command line as Go's `flag` package splits it: `-name`, `--name`, `--name=value`, `--name value`; a switch takes no
 * word after it; `--` or a word without a dash ends the flags. The first mistake ends the reading, as there.
 */
import { nearest } from "../nearest.ts"
import { findFlag, flagNames, type FlagKind, type FoundFlag } from "./flagTable.ts"
import { parseGoBool, parseGoDuration, parseGoInt, parseGoUint } from "./goValues.ts"

/** A value as it was written, and where. */
export interface FlagValue {
  readonly text: string
  /** `--max-txn-ops`, `ETCD_MAX_TXN_OPS`, `etcd.yaml: max-txn-ops`. */
  readonly source: string
}

export interface ParsedFlags {
  readonly values: Map<string, FlagValue>
  /** Old spellings that were used. */
  readonly formers: Array<string>
  readonly help: boolean
  /** Words after the flags. */
  readonly rest: ReadonlyArray<string>
  /** The first mistake. */
  readonly error: string | undefined
}

const wordLengthMax = 80

/** Others' words in messages: short and on one line. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > wordLengthMax ? `${text.slice(0, 77)}...` : text)

/** Undefined: a value of that kind. */
export const kindError = (kind: FlagKind, text: string): string | undefined => {
  switch (kind) {
    case "text":
    case "ignored":
      return undefined
    case "bool":
      return parseGoBool(text) === undefined ? "parse error" : undefined
    case "uint":
      return parseGoUint(text) === undefined ? "parse error" : undefined
    case "int":
      return parseGoInt(text) === undefined ? "parse error" : undefined
    case "duration":
      return parseGoDuration(text) === undefined ? "parse error" : undefined
  }
}

const plain = (name: string): string => shown(name).slice(1, -1)

const undefinedFlag = (name: string): string => {
  const meant = nearest(name, flagNames)
  const hint = meant === undefined ? "" : ` (did you mean --${meant}?)`
  return `flag provided but not defined: -${plain(name)}${hint}`
}

export const parseGoFlags = (argv: ReadonlyArray<string>): ParsedFlags => {
  const values = new Map<string, FlagValue>()
  const formers: Array<string> = []
  const ended = (rest: ReadonlyArray<string>, error?: string, help = false): ParsedFlags => ({
    values,
    formers,
    help,
    rest,
    error
  })
  const take = ({ spec, former }: FoundFlag, text: string): void => {
    if (former !== undefined) formers.push(former)
    values.set(spec.name, { text, source: `--${former ?? spec.name}` })
  }

  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!
    if (word.length < 2 || !word.startsWith("-")) return ended(argv.slice(at))
    if (word === "--") return ended(argv.slice(at + 1))
    const body = word.slice(word.startsWith("--") ? 2 : 1)
    if (body === "" || body.startsWith("-") || body.startsWith("=")) return ended([], `bad flag syntax: ${plain(word)}`)
    const equals = body.indexOf("=")
    const name = equals < 0 ? body : body.slice(0, equals)
    const attached = equals < 0 ? undefined : body.slice(equals + 1)
    const found = findFlag(name)
    if (found === undefined) {
      return name === "help" || name === "h" ? ended([], undefined, true) : ended([], undefinedFlag(name))
    }
    const { kind } = found.spec
    if (kind === "bool" || kind === "ignored") {
      const text = attached ?? "true"
      if (kindError(kind, text) !== undefined) {
        return ended([], `invalid boolean value ${shown(text)} for -${name}: parse error`)
      }
      take(found, text)
      continue
    }
    const text = attached ?? argv[++at]
    if (text === undefined) return ended([], `flag needs an argument: -${name}`)
    const wrong = kindError(kind, text)
    if (wrong !== undefined) return ended([], `invalid value ${shown(text)} for flag -${name}: ${wrong}`)
    take(found, text)
  }
  return ended([])
}
