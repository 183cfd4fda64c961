/**
 * etcd's configuration file: YAML or JSON whose keys are names of flags, and two groups for TLS. Numbers for durations
 * are nanoseconds. Unknown keys are warned about, as etcd ignores them.
 */
import { isMap, parseDocument } from "yaml"
import { nearest } from "../nearest.ts"
import { findFlag, flagNames } from "./flagTable.ts"
import { type FlagValue, kindError, shown } from "./goFlags.ts"

export interface ConfigFileRead {
  readonly values: Map<string, FlagValue>
  readonly formers: Array<string>
  readonly warnings: ReadonlyArray<string>
  readonly errors: ReadonlyArray<string>
}

const lengthMax = 1 << 20
const depthMax = 32
const errorsMax = 20
const aliasesMax = 100

/** Keys of `client-transport-security` and `peer-transport-security` that are not the flag's name with a prefix. */
const securityNames: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "client-transport-security": {
    "crl-file": "client-crl-file",
    "client-crl-file": "client-crl-file",
    "allowed-hostname": "client-cert-allowed-hostname",
    "allowed-hostnames": "client-cert-allowed-hostname"
  },
  "peer-transport-security": {
    "allowed-cn": "peer-cert-allowed-cn",
    "allowed-cns": "peer-cert-allowed-cn",
    "allowed-hostname": "peer-cert-allowed-hostname",
    "allowed-hostnames": "peer-cert-allowed-hostname"
  }
}

/** The parser recurses: brackets and indentation bound the depth before it runs. */
const isTooDeep = (text: string): boolean => {
  let depth = 0
  for (const character of text) {
    if (character === "{" || character === "[") {
      if (++depth > depthMax) return true
    } else if (character === "}" || character === "]") depth = Math.max(0, depth - 1)
  }
  return /^(?:[ \t]*[-?:][ \t]+){33}/m.test(text) || /^ {129}/m.test(text)
}

export const readConfigFile = (path: string, contents: string): ConfigFileRead => {
  const values = new Map<string, FlagValue>()
  const formers: Array<string> = []
  const warnings: Array<string> = []
  const errors: Array<string> = []
  const result = { values, formers, warnings, errors }
  if (contents.length > lengthMax) {
    errors.push(`${path}: longer than ${lengthMax} characters`)
    return result
  }
  const root = parse(path, contents, errors)
  if (root === undefined) return result

  const take = (key: string, name: string, value: unknown, known: Iterable<string> = flagNames): void => {
    const found = findFlag(name)
    if (found === undefined || name === "config-file" || name === "version") {
      const meant = nearest(key.slice(key.lastIndexOf(".") + 1), known)
      const hint = meant === undefined ? "" : `; did you mean ${meant}?`
      warnings.push(`${path}: unknown key ${shown(key).slice(1, -1)} is ignored${hint}`)
      return
    }
    const text = textOf(value, found.spec.kind === "duration")
    const wrong = text === undefined ? "neither a text nor a number" : kindError(found.spec.kind, text)
    if (wrong !== undefined || text === undefined) {
      errors.push(`${path}: invalid value ${shown(text ?? typeName(value))} for ${key}: ${wrong}`)
      return
    }
    if (text === "") return
    if (found.former !== undefined) formers.push(found.former)
    values.set(found.spec.name, { text, source: `${path}: ${key}` })
  }

  for (const [key, value] of Object.entries(root)) {
    if (value === null || value === undefined) continue
    const names = Object.hasOwn(securityNames, key) ? securityNames[key] : undefined
    if (names === undefined) {
      take(key, key, value)
      continue
    }
    if (typeof value !== "object" || Array.isArray(value)) {
      errors.push(`${path}: invalid value for ${key}: a group of keys is needed`)
      continue
    }
    for (const [inner, innerValue] of Object.entries(value)) {
      if (innerValue === null || innerValue === undefined) continue
      const prefixed = key === "peer-transport-security" ? `peer-${inner}` : inner
      take(`${key}.${inner}`, Object.hasOwn(names, inner) ? names[inner]! : prefixed, innerValue, groupKeys(key, names))
    }
  }
  return result
}

const groupKeys = (group: string, names: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const prefix = group === "peer-transport-security" ? "peer-" : ""
  const flags = flagNames.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
  return [...Object.keys(names), ...flags]
}

const parse = (path: string, contents: string, errors: Array<string>): Record<string, unknown> | undefined => {
  if (isTooDeep(contents)) {
    errors.push(`${path}: more than ${depthMax} levels`)
    return undefined
  }
  try {
    const document = parseDocument(contents, { intAsBigInt: true, prettyErrors: true })
    for (const error of document.errors.slice(0, errorsMax)) errors.push(`${path}: ${error.message.split("\n")[0]}`)
    if (document.errors.length > 0 || document.contents === null) return undefined
    if (!isMap(document.contents)) {
      errors.push(`${path}: keys with values are needed, for example name: default`)
      return undefined
    }
    return document.toJS({ maxAliasCount: aliasesMax }) as Record<string, unknown>
  } catch (cause) {
    errors.push(`${path}: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`)
    return undefined
  }
}

const typeName = (value: unknown): string => (Array.isArray(value) ? "a list" : typeof value)

/** A list is its entries with commas, a group of switches `name=value` with commas. */
const textOf = (value: unknown, isDuration: boolean): string | undefined => {
  if (typeof value === "string") return value
  if (typeof value === "bigint") return isDuration ? `${value}ns` : String(value)
  if (typeof value === "boolean" || typeof value === "number") return String(value)
  if (typeof value !== "object" || value === null) return undefined
  const parts = Array.isArray(value)
    ? value.map((entry) => textOf(entry, false))
    : Object.entries(value).map(([name, entry]) => {
        const text = typeof entry === "object" ? undefined : textOf(entry, false)
        return text === undefined ? undefined : `${name}=${text}`
      })
  return parts.includes(undefined) ? undefined : parts.join(",")
}
