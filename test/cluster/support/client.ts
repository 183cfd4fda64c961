/**
 * A client of the load: writes to a key of its own, changes keys that all share under compares, reads. It stays with an
 * endpoint until something fails there; only new operations go to another one, nothing is ever sent twice.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { Answer, Request } from "../../linear/history.ts"
import type { Recorder } from "../../linear/Recorder.ts"
import { callOf } from "../../linear/wire.ts"
import type { Certificates } from "./certificates.ts"
import { CallFailed, Connection } from "./connection.ts"

/** Longer than etcd's own 7 s, so that the server's word comes first. */
const deadlineMillis = 8_000
const pauseAfterErrorMillis = 20
/** From "client-…" to "shared-…", with "leased-…" between. */
const allKeys = { key: "client-", end: "shared-~" }
const sharedKeys = ["shared-a", "shared-b", "shared-c", "shared-d"]

/** Refusals before anything happened; whatever else an error says, the request may have had its effect. */
const refusals = ["etcdserver: too many requests", "etcdserver: mvcc: database space exceeded"]

export interface ClientOptions {
  readonly id: number
  readonly recorder: Recorder
  readonly certificates: Certificates
  readonly endpoints: () => ReadonlyArray<string>
  readonly random: () => number
  readonly running: () => boolean
  /** Mean time between two operations. */
  readonly pauseMillis: number
  readonly valueBytes: number
}

/** An own put that was acknowledged. */
export interface Acknowledged {
  readonly revision: number
  readonly at: number
}

/** What came of a write, on the test's monotonic clock. */
export interface WriteOutcome {
  readonly began: number
  readonly ended: number
  readonly outcome: "ok" | "failed" | "unknown"
  readonly endpoint: string
  readonly reason: string
}

export const ownKeys = "client-"
export const ownKey = (id: number): string => `${ownKeys}${id}`

export class LoadClient {
  readonly id: number
  readonly writes: Array<WriteOutcome> = []
  /** By value. */
  readonly acknowledged = new Map<string, Acknowledged>()
  reads = 0
  readsFailed = 0
  readonly #options: ClientOptions
  readonly #connections = new Map<string, Connection>()
  #endpoint: string | undefined
  #moves = 0

  constructor(options: ClientOptions) {
    this.#options = options
    this.id = options.id
  }

  async run(): Promise<void> {
    const { pauseMillis, random, running, valueBytes } = this.#options
    const padding = "x".repeat(Math.max(0, valueBytes))
    for (let n = 0; running(); n++) {
      const kind = random()
      const done =
        kind < 0.6
          ? await this.#put(n, padding)
          : kind < 0.75
            ? await this.#swap(n)
            : (await this.#call({ kind: "get", ...allKeys, serializable: kind > 0.95 })) !== undefined
      await sleep(done ? pauseMillis * (0.5 + random()) : pauseAfterErrorMillis)
    }
    for (const connection of this.#connections.values()) connection.close()
  }

  /** The endpoint of this moment: another one after each failure, and when the former one is no longer offered. */
  #choose(): string {
    const offered = this.#options.endpoints()
    if (this.#endpoint === undefined || !offered.includes(this.#endpoint))
      this.#endpoint = offered[(this.id + this.#moves) % offered.length]!
    return this.#endpoint
  }

  #move(): void {
    this.#moves++
    this.#endpoint = undefined
  }

  async #call(request: Request): Promise<Answer | undefined> {
    const { certificates, recorder } = this.#options
    const endpoint = this.#choose()
    let connection = this.#connections.get(endpoint)
    if (connection === undefined) this.#connections.set(endpoint, (connection = new Connection(endpoint, certificates)))
    const { body, decode, path } = callOf(request)
    const isWrite = request.kind !== "get"
    const began = performance.now()
    const begun = recorder.begin(`c${this.id}`, request)
    const end = (outcome: WriteOutcome["outcome"], reason: string): void => {
      if (isWrite) this.writes.push({ began, ended: performance.now(), outcome, endpoint, reason })
      else if (outcome === "ok") this.reads++
      else this.readsFailed++
    }
    try {
      const answer = decode(await connection.unary(path, body, deadlineMillis))
      begun.ok(answer)
      end("ok", "")
      return answer
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (!(error instanceof CallFailed)) throw error
      const definite = error.unsent || refusals.includes(reason)
      if (definite) begun.failed(reason)
      else begun.unknown(reason)
      end(definite ? "failed" : "unknown", reason)
      this.#move()
      return undefined
    }
  }

  async #put(n: number, padding: string): Promise<boolean> {
    const value = `${this.id}:${n}:${padding}`
    const answer = await this.#call({ kind: "put", key: ownKey(this.id), value })
    if (answer !== undefined) this.acknowledged.set(value, { revision: answer.revision, at: performance.now() })
    return answer !== undefined
  }

  /** Reads two shared keys and changes them if they are as they were. */
  async #swap(n: number): Promise<boolean> {
    const { random } = this.#options
    const at = Math.floor(random() * (sharedKeys.length - 1))
    const key = sharedKeys[at]!
    const other = sharedKeys[at + 1]!
    const found = await this.#call({ kind: "get", key, end: `${other}\0` })
    if (found?.result.kind !== "get") return false
    const kvs = found.result.kvs
    const of = (name: string) => kvs.find((kv) => kv.key === name)
    const change: Request =
      random() < 0.3 && of(other) !== undefined
        ? { kind: "delete", key: other }
        : { kind: "put", key: other, value: `${this.id}:${n}:2` }
    const answer = await this.#call({
      kind: "txn",
      compares: [
        { key, target: "mod", is: "=", than: of(key)?.mod ?? 0 },
        { key: other, target: "version", is: "=", than: of(other)?.version ?? 0 }
      ],
      success: [{ kind: "put", key, value: `${this.id}:${n}:1` }, change],
      failure: [{ kind: "get", key, end: `${other}\0` }]
    })
    return answer !== undefined
  }
}
