/** What a checker finds, and how it is shown to a person. */
import type { Operation, Request, Result, Span } from "./history.ts"
import type { Change } from "./model.ts"

/** What is at a revision, and who wrote it. */
export interface Written {
  readonly revision: number
  readonly by: Operation
  readonly changes: ReadonlyArray<Change>
}

export interface Problem {
  /** One sentence. */
  readonly what: string
  /** Those that cannot all be true, no others where that is known. */
  readonly operations: ReadonlyArray<Operation>
}

export type Verdict =
  | { readonly kind: "ok"; readonly order: ReadonlyArray<Written> }
  | { readonly kind: "bad"; readonly problem: Problem }
  /** The search was given up: too many ways how unknown outcomes may have gone. */
  | { readonly kind: "undecided"; readonly what: string }

const rowsMax = 24

const spanText = ({ end, key }: Span): string => {
  const name = (text: string): string => JSON.stringify(text).slice(1, -1)
  return end === undefined || end === "" ? name(key) : `[${name(key)}, ${end === "\0" ? "∞" : name(end)})`
}

const requestText = (request: Request): string => {
  switch (request.kind) {
    case "put":
      return `put ${request.key}=${request.value}`
    case "delete":
      return `delete ${spanText(request)}`
    case "get":
      return `${request.serializable === true ? "serializable get" : "get"} ${spanText(request)}${
        (request.revision ?? 0) > 0 ? ` at ${request.revision}` : ""
      }${(request.limit ?? 0) > 0 ? ` limit ${request.limit}` : ""}`
    case "txn": {
      const compares = request.compares.map((c) => `${c.target}(${spanText(c)})${c.is}${c.than}`).join(" and ")
      const branch = (of: ReadonlyArray<Request>): string => of.map(requestText).join(", ")
      const otherwise = request.failure.length === 0 ? "" : ` else ${branch(request.failure)}`
      return `if ${compares === "" ? "true" : compares} then ${branch(request.success)}${otherwise}`
    }
  }
}

export const resultText = (result: Result): string => {
  switch (result.kind) {
    case "put":
      return "ok"
    case "delete":
      return `${result.deleted} deleted`
    case "get": {
      const shown = result.kvs.slice(0, 6).map((kv) => `${kv.key}=${kv.value}@${kv.mod}`)
      const more = result.kvs.length > shown.length ? ` and ${result.kvs.length - shown.length} more` : ""
      return shown.length === 0 ? `nothing, count ${result.count}` : `${shown.join(" ")}${more}`
    }
    case "txn":
      return [result.succeeded ? "succeeded" : "not succeeded", ...result.results.map(resultText)].join(": ")
  }
}

const outcomeText = ({ outcome }: Operation): string =>
  outcome.kind === "ok"
    ? `${outcome.answer.revision}: ${resultText(outcome.answer.result)}`
    : `${outcome.kind}: ${outcome.reason}`

const timeText = (time: number): string => (time === Infinity ? "∞" : `${Math.round(time * 1_000) / 1_000}`)

/** A small table: one row an operation, by the time it began. */
const operationsTable = (operations: ReadonlyArray<Operation>): string => {
  const sorted = [...new Set(operations)].sort((a, b) => a.invoked - b.invoked || a.id - b.id)
  const rows = [
    ["operation", "client", "from", "to", "request", "answer"],
    ...sorted
      .slice(0, rowsMax)
      .map((o) => [
        `#${o.id}`,
        o.client,
        timeText(o.invoked),
        timeText(o.returned),
        requestText(o.request),
        outcomeText(o)
      ])
  ]
  const widths = rows[0]!.map((_, column) => Math.min(60, Math.max(...rows.map((row) => row[column]!.length))))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd()
  )
  if (sorted.length > rowsMax) lines.push(`and ${sorted.length - rowsMax} more`)
  return lines.join("\n")
}

export const problemText = ({ operations, what }: Problem): string =>
  operations.length === 0 ? what : `${what}\n${operationsTable(operations)}`

/** Empty when all is well: for tests that expect nothing. */
export const complaint = (verdict: Verdict): string => {
  switch (verdict.kind) {
    case "ok":
      return ""
    case "bad":
      return problemText(verdict.problem)
    case "undecided":
      return verdict.what
  }
}
