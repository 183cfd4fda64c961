/** What all answers together say about each revision: who shows a key as of revision m has seen what m wrote. */
import { type History, type Kv, mayWrite, type Operation, type Request, type Result } from "./history.ts"
import { type Change, sameKv } from "./model.ts"

interface Sighting {
  readonly kv: Kv
  readonly by: Operation
  /** The newest revision at which the key was still as this. */
  until: number
}

export class Observed {
  /** By revision, then by key. */
  readonly #at = new Map<number, Map<string, Sighting>>()
  readonly #puts = new Map<string, number>()

  constructor(history: History) {
    for (const operation of history.operations) {
      if (operation.outcome.kind !== "ok") continue
      const { result, revision } = operation.outcome.answer
      const { request } = operation
      const at = request.kind === "get" && (request.revision ?? 0) > 0 ? request.revision! : revision
      this.#visit(operation, at, result, false)
    }
  }

  #visit(by: Operation, revision: number, result: Result, inTxn: boolean): void {
    switch (result.kind) {
      case "put":
        // What a write found was there until the revision before its own.
        if (result.previous !== undefined) this.#see(by, result.previous, revision - 1)
        return
      case "delete":
        for (const kv of result.previous ?? []) this.#see(by, kv, revision - 1)
        return
      case "get":
        // Another step of the same transaction may change it at this revision.
        for (const kv of result.kvs) this.#see(by, kv, inTxn && kv.mod !== revision ? revision - 1 : revision)
        return
      case "txn":
        for (const one of result.results) this.#visit(by, revision, one, true)
    }
  }

  #see(by: Operation, kv: Kv, until: number): void {
    let keys = this.#at.get(kv.mod)
    if (keys === undefined) this.#at.set(kv.mod, (keys = new Map()))
    const there = keys.get(kv.key)
    if (there === undefined) {
      keys.set(kv.key, { kv, by, until })
      this.#puts.set(`${kv.key}\0${kv.value}`, kv.mod)
      return
    }
    there.until = Math.max(there.until, until)
  }

  /** `key NUL value` of a put that somebody saw at that revision. */
  putAt(revision: number): string | undefined {
    for (const { kv } of this.#at.get(revision)?.values() ?? []) return `${kv.key}\0${kv.value}`
    return undefined
  }

  /** Whether somebody saw a value of this request as of another revision. */
  seenElsewhere(request: Request, revision: number): boolean {
    if (request.kind === "put") {
      const at = this.#puts.get(`${request.key}\0${request.value}`)
      return at !== undefined && at !== revision
    }
    return (
      request.kind === "txn" &&
      [...request.success, ...request.failure].some((one) => this.seenElsewhere(one, revision))
    )
  }

  /** Whether the request could be the writer of what was seen at that revision. */
  couldBe(request: Request, revision: number): boolean {
    if (!mayWrite(request)) return false
    if (request.kind === "put") return this.#at.get(revision)?.get(request.key)?.kv.value === request.value
    return request.kind === "txn" && [...request.success, ...request.failure].some((one) => this.couldBe(one, revision))
  }

  textAt(revision: number): string | undefined {
    for (const { by, kv } of this.#at.get(revision)?.values() ?? []) return `#${by.id} saw ${kv.key}=${kv.value}`
    return undefined
  }

  witnesses(revision: number): Array<Operation> {
    return [...new Set([...(this.#at.get(revision)?.values() ?? [])].map(({ by }) => by))].slice(0, 4)
  }

  /** What is wrong if these are the changes of that revision. */
  disagreement(revision: number, changes: ReadonlyArray<Change>): string | undefined {
    for (const [key, { by, kv }] of this.#at.get(revision) ?? []) {
      const change = changes.find((one) => one.key === key)
      if (change === undefined || !sameKv(change.after, kv))
        return `#${by.id} saw ${key}=${kv.value} as of revision ${revision} (version ${kv.version}, created at ${kv.create})`
    }
    for (const { before } of changes) {
      if (before === undefined) continue
      const seen = this.#at.get(before.mod)?.get(before.key)
      if (seen !== undefined && seen.until >= revision)
        return `#${seen.by.id} saw ${before.key} at revision ${seen.until} as it was at ${before.mod}`
    }
    return undefined
  }
}
