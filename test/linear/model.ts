/** The store that a history is compared with: etcd's KV with its revisions, as plainly as it can be said. */
import {
  type Compare,
  covers,
  type Delete,
  type Get,
  type Kv,
  type Put,
  type Request,
  type Result,
  type Span
} from "./history.ts"

export interface Change {
  readonly key: string
  readonly before: Kv | undefined
  readonly after: Kv | undefined
}

export interface Applied {
  /** Undefined: the request is refused as invalid. */
  readonly result: Result | undefined
  readonly changes: ReadonlyArray<Change>
}

/** A request whose compares are decided: all of them, nested ones too, are about the state before the request. */
type Decided =
  | Put
  | Delete
  | Get
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly steps: Array<Decided> }

const holds = (compare: Compare, kv: Kv | undefined): boolean => {
  if (compare.target === "value" && kv === undefined) return false
  const found = kv === undefined ? 0 : kv[compare.target]
  const { than } = compare
  switch (compare.is) {
    case "=":
      return found === than
    case "!=":
      return found !== than
    case ">":
      return found > than
    case "<":
      return found < than
  }
}

export class Store {
  revision: number
  readonly #kvs = new Map<string, Kv>()

  constructor(initial: { readonly revision: number; readonly kvs: ReadonlyArray<Kv> } = { revision: 1, kvs: [] }) {
    this.revision = initial.revision
    for (const kv of initial.kvs) this.#kvs.set(kv.key, kv)
  }

  find(key: string): Kv | undefined {
    return this.#kvs.get(key)
  }

  /** In the order of keys. */
  within(span: Span): Array<Kv> {
    if (span.end === undefined || span.end === "") {
      const kv = this.#kvs.get(span.key)
      return kv === undefined ? [] : [kv]
    }
    const found: Array<Kv> = []
    for (const kv of this.#kvs.values()) if (covers(span, kv.key)) found.push(kv)
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Takes the next revision if anything changes. */
  apply(request: Request): Applied {
    const changes: Array<Change> = []
    const result = this.#run(this.#decide(request), changes)
    if (result === undefined) {
      this.#restore(changes)
      return { result, changes: [] }
    }
    if (changes.length > 0) this.revision++
    return { result, changes }
  }

  /** What `apply` would answer now. */
  ask(request: Request): Applied {
    const applied = this.apply(request)
    this.undo(applied.changes)
    return applied
  }

  undo(changes: ReadonlyArray<Change>): void {
    this.#restore(changes)
    if (changes.length > 0) this.revision--
  }

  /** Equal for equal states; for remembering where a search has been. */
  digest(): string {
    let a = 0
    let b = 0
    for (const kv of this.#kvs.values()) {
      let h1 = 0x811c9dc5
      let h2 = 0x2545f491
      const text = `${kv.key}\u0001${kv.value}\u0001${kv.create}\u0001${kv.mod}\u0001${kv.version}`
      for (let i = 0; i < text.length; i++) {
        h1 = Math.imul(h1 ^ text.charCodeAt(i), 0x01000193)
        h2 = Math.imul((h2 ^ text.charCodeAt(i)) + i, 0x9e3779b1)
      }
      a = (a + (h1 ^ (h1 >>> 15))) >>> 0
      b = (b + (h2 ^ (h2 >>> 13))) >>> 0
    }
    return `${a}.${b}.${this.#kvs.size}`
  }

  #restore(changes: ReadonlyArray<Change>): void {
    for (let i = changes.length - 1; i >= 0; i--) {
      const { before, key } = changes[i]!
      if (before === undefined) this.#kvs.delete(key)
      else this.#kvs.set(key, before)
    }
  }

  #holds(compare: Compare): boolean {
    const found = this.within(compare)
    return found.length === 0 ? holds(compare, undefined) : found.every((kv) => holds(compare, kv))
  }

  #change(key: string, value: string | undefined, changes: Array<Change>): Kv | undefined {
    const before = this.#kvs.get(key)
    const mod = this.revision + 1
    const after: Kv | undefined =
      value === undefined
        ? undefined
        : { key, value, mod, create: before?.create ?? mod, version: (before?.version ?? 0) + 1 }
    if (after === undefined) this.#kvs.delete(key)
    else this.#kvs.set(key, after)
    changes.push({ key, before, after })
    return before
  }

  #decide(request: Request): Decided {
    if (request.kind !== "txn") return request
    const succeeded = request.compares.every((compare) => this.#holds(compare))
    const steps = (succeeded ? request.success : request.failure).map((one) => this.#decide(one))
    return { kind: "txn", succeeded, steps }
  }

  #run(request: Decided, changes: Array<Change>): Result | undefined {
    switch (request.kind) {
      case "put":
        // One request writes a key once, so that one revision has one event for it.
        if (changes.some((change) => change.key === request.key)) return undefined
        return { kind: "put", previous: this.#change(request.key, request.value, changes) }
      case "delete": {
        const previous = this.within(request)
        if (previous.some((kv) => kv.mod === this.revision + 1)) return undefined
        for (const kv of previous) this.#change(kv.key, undefined, changes)
        return { kind: "delete", deleted: previous.length, previous }
      }
      case "get": {
        const found = this.within(request)
        const limit = request.limit ?? 0
        return { kind: "get", kvs: limit > 0 ? found.slice(0, limit) : found, count: found.length }
      }
      case "txn": {
        const results: Array<Result> = []
        for (const one of request.steps) {
          const result = this.#run(one, changes)
          if (result === undefined) return undefined
          results.push(result)
        }
        return { kind: "txn", succeeded: request.succeeded, results }
      }
    }
  }
}

const sameKv = (a: Kv | undefined, b: Kv | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.key === b.key &&
    a.value === b.value &&
    a.create === b.create &&
    a.mod === b.mod &&
    a.version === b.version)

const sameKvs = (a: ReadonlyArray<Kv>, b: ReadonlyArray<Kv>): boolean =>
  a.length === b.length && a.every((kv, i) => sameKv(kv, b[i]))

/** Whether the client saw what the store says; previous values count only where it asked for them. */
export const agrees = (seen: Result, said: Result): boolean => {
  switch (seen.kind) {
    case "put":
      return said.kind === "put" && (seen.previous === undefined || sameKv(seen.previous, said.previous))
    case "delete":
      return (
        said.kind === "delete" &&
        seen.deleted === said.deleted &&
        (seen.previous === undefined || sameKvs(seen.previous, said.previous!))
      )
    case "get":
      return said.kind === "get" && seen.count === said.count && sameKvs(seen.kvs, said.kvs)
    case "txn":
      return (
        said.kind === "txn" &&
        seen.succeeded === said.succeeded &&
        seen.results.length === said.results.length &&
        seen.results.every((result, i) => agrees(result, said.results[i]!))
      )
  }
}

export { sameKv }
