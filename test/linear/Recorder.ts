/**
 * Records what clients do. The order of its calls is the order of time, so one recorder serves the clients of one
 * process; nothing that two calls saw in the same instant is taken for simultaneous.
 */
import type { Answer, History, Kv, Operation, Outcome, Request, Span, Watch, WatchResponse } from "./history.ts"

const operationsMaxDefault = 1_000_000

/** An operation under way. Exactly one of the three ends it; what nobody ends is unknown. */
export interface Begun {
  readonly id: number
  readonly ok: (answer: Answer) => void
  readonly failed: (reason: string) => void
  readonly unknown: (reason: string) => void
}

export interface WatchBegun {
  readonly response: (response: Omit<WatchResponse, "at">) => void
}

interface Entry {
  readonly client: string
  readonly request: Request
  readonly invoked: number
  returned: number
  outcome: Outcome
}

const open: Outcome = { kind: "unknown", reason: "no answer" }

export class Recorder {
  readonly #operations: Array<Entry> = []
  readonly #watches: Array<Watch & { readonly responses: Array<WatchResponse> }> = []
  readonly #operationsMax: number
  #tick = 0

  constructor(operationsMax: number = operationsMaxDefault) {
    this.#operationsMax = operationsMax
  }

  /** To be called before the request leaves. */
  begin(client: string, request: Request): Begun {
    if (this.#operations.length >= this.#operationsMax)
      throw new Error(`the history is full: ${this.#operationsMax} operations`)
    const entry: Entry = { client, request, invoked: this.#tick++, returned: Infinity, outcome: open }
    const id = this.#operations.push(entry) - 1
    const end = (outcome: Outcome): void => {
      if (entry.outcome !== open) throw new Error(`operation ${id} of ${client} ended twice`)
      const now = this.#tick++
      entry.outcome = outcome
      if (outcome.kind !== "unknown") entry.returned = now
    }
    return {
      id,
      ok: (answer) => end({ kind: "ok", answer }),
      failed: (reason) => end({ kind: "failed", reason }),
      unknown: (reason) => end({ kind: "unknown", reason })
    }
  }

  /** A watch that owes every revision from `from` on; a resumed one is begun anew. */
  watch(client: string, span: Span, from: number): WatchBegun {
    const responses: Array<WatchResponse> = []
    this.#watches.push({ client, key: span.key, end: span.end, from, responses })
    return { response: (response) => void responses.push({ ...response, at: this.#tick++ }) }
  }

  get size(): number {
    return this.#operations.length
  }

  history(initial?: { readonly revision: number; readonly kvs: ReadonlyArray<Kv> }): History {
    return {
      operations: this.#operations.map((entry, id): Operation => ({ id, ...entry })),
      watches: this.#watches.map((watch) => ({ ...watch, responses: [...watch.responses] })),
      initial
    }
  }
}
