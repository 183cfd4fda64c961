/** Every event of the log, found where the sources write it: level and fields as they stand there, meaning from eventNotes.ts. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { eventNotes, unnamed } from "./eventNotes.ts"
import { code, table } from "./markdown.ts"

export interface LogEvent {
  readonly name: string
  readonly levels: ReadonlyArray<string>
  readonly fields: ReadonlyArray<string>
}

export interface LogCall {
  readonly path: string
  readonly level: string
  /** Undefined: not a text that stands there. */
  readonly name: string | undefined
  readonly fields: ReadonlyArray<string>
}

/** A level that is handed on, to be called elsewhere: no call of it can be read off the source. */
export const handedOn = (source: string): boolean => /\b(?:log|journal)\.(?:debug|info|warn|error)\b(?!\()/.test(source)

const callPattern = /\b(?:log|journal)(?:\.(debug|info|warn|error)|\[([^\]]*)\])\(\s*/g

/** Up to the bracket that closes what is open at `from`; texts and comments do not count. */
const argumentsFrom = (source: string, from: number): string => {
  let depth = 1
  for (let i = from; i < source.length; i++) {
    const char = source[i]!
    if (char === '"' || char === "`" || char === "'") {
      for (i++; i < source.length && source[i] !== char; i++) if (source[i] === "\\") i++
    } else if (char === "/" && source[i + 1] === "/") i = source.indexOf("\n", i)
    else if ("([{".includes(char)) depth++
    else if (")]}".includes(char) && --depth === 0) return source.slice(from, i)
  }
  return source.slice(from)
}

/** Names of an object literal's own entries; what is spread into it is not seen. */
const fieldsOf = (literal: string): ReadonlyArray<string> => {
  if (!literal.startsWith("{")) return []
  const fields: Array<string> = []
  const inner = argumentsFrom(literal, 1)
  let start = 0
  let depth = 0
  for (let i = 0; i <= inner.length; i++) {
    const char = inner[i] ?? ","
    if (char === '"' || char === "`") {
      for (i++; i < inner.length && inner[i] !== char; i++) if (inner[i] === "\\") i++
    } else if ("([{".includes(char)) depth++
    else if (")]}".includes(char)) depth--
    else if (char === "," && depth === 0) {
      const name = /^\s*(?:\/\/.*\n\s*)*([A-Za-z_]\w*)\s*(?::|$)/.exec(inner.slice(start, i))?.[1]
      if (name !== undefined) fields.push(name)
      start = i + 1
    }
  }
  return fields
}

export const callsIn = (path: string, source: string): ReadonlyArray<LogCall> =>
  [...source.matchAll(callPattern)].flatMap((match) => {
    const from = match.index + match[0].length
    const given = argumentsFrom(source, from)
    const name = /^"([^"]+)"/.exec(given)?.[1]
    const rest = given.slice(name === undefined ? given.length : name.length + 2).replace(/^\s*,\s*/, "")
    const levels = match[1] ?? match[2] ?? ""
    return (levels.match(/debug|info|warn|error/g) ?? []).map((level) => ({
      path,
      level: level.toUpperCase(),
      name,
      fields: fieldsOf(rest)
    }))
  })

/** Of the daemon: programs that a person runs print for that person. */
const isDaemon = (path: string): boolean =>
  path.endsWith(".ts") && !/^programs\/(?:dev|bench|inspect|verify|status|recover)/.test(path)

const sourceRoot = fileURLToPath(new URL("../../src", import.meta.url))

const sources = readdirSync(sourceRoot, { recursive: true, encoding: "utf8" })
  .filter(isDaemon)
  .map((path) => ({ path, text: readFileSync(join(sourceRoot, path), "utf8") }))

export const logCalls: ReadonlyArray<LogCall> = sources.flatMap(({ path, text }) => callsIn(path, text))

export const filesThatHandOn: ReadonlyArray<string> = sources
  .filter(({ text }) => handedOn(text))
  .map(({ path }) => path)

export const logEvents: ReadonlyArray<LogEvent> = [...new Set(logCalls.flatMap(({ name }) => name ?? []))]
  .toSorted()
  .map((name) => {
    const calls = logCalls.filter((call) => call.name === name)
    const written = [...new Set(calls.flatMap(({ fields }) => fields))]
    return {
      name,
      levels: [...new Set(calls.map(({ level }) => level))],
      fields: [...new Set([...written, ...(eventNotes[name]?.more ?? [])])]
    }
  })

const row = ({ fields, levels, name }: LogEvent): ReadonlyArray<string> => {
  const note = eventNotes[name]
  return [code(name), levels.join(", "), fields.map(code).join(", "), note?.means ?? "", note?.act ?? ""]
}

/** Those that a person should act on stand first. */
const rank = ({ levels }: LogEvent): number =>
  levels.includes("ERROR") ? 0 : levels.includes("WARN") ? 1 : levels.includes("INFO") ? 2 : 3

export const eventTables = (): string => {
  const titles = ["Errors", "Warnings", "What happens", "Debug log only"]
  return titles
    .map((title, level) => {
      const events = logEvents.filter((event) => rank(event) === level)
      return `### ${title}\n\n${table(["Event", "Level", "Fields", "Means", "What to do"], events.map(row))}`
    })
    .join("\n\n")
}

/** Calls whose event cannot be read off the source. */
export const unexpectedCalls: ReadonlyArray<LogCall> = logCalls.filter(
  ({ name, path }) => name === undefined && !unnamed.includes(path)
)
