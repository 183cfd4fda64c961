/**
 * kube-apiserver's storage layer for one kind of object: the requests as the two generations of it send them, and the
 * fields of the answers that each of them looks at (etcd-api.md 3.1).
 */
import { crc32 } from "node:zlib"
import { emptyBytes } from "../../src/core/log/record.ts"
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type RangeResponse,
  type RequestOp,
  type TxnResponse
} from "../../src/core/wire/messages.ts"
import { type Connection, rangeOf } from "./connection.ts"
import type { Figures } from "./figures.ts"
import { type Held, heldBy, type History, textOf } from "./history.ts"
import { type Kind, prefixEnd, prefixOf } from "./objects.ts"

/** `more`: up to 1.31, pages end by `more`, nested headers count. `count`: from 1.32, pages end by `count`. */
export type Style = "more" | "count"

/** A page of a list is at most this long, however often it has doubled. */
const pageMax = 10_000

const isMod = (key: Uint8Array, revision: number): Compare => ({
  result: CompareResult.Equal,
  target: CompareTarget.Mod,
  key,
  rangeEnd: emptyBytes,
  targetUnion: { kind: "mod", number: revision }
})

export const putOp = (key: Uint8Array, value: Uint8Array, lease = 0n): RequestOp => ({
  kind: "put",
  put: { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false }
})

export const rangeOp = (key: Uint8Array): RequestOp => ({ kind: "range", range: rangeOf(key) })

const deleteOp = (key: Uint8Array): RequestOp => ({
  kind: "deleteRange",
  deleteRange: { key, rangeEnd: emptyBytes, prevKv: false }
})

export interface List {
  readonly revision: number
  readonly items: ReadonlyMap<string, Held>
}

export class Storage {
  readonly kind: Kind
  readonly style: Style
  readonly #connection: Connection
  readonly #figures: Figures
  readonly #history: History
  readonly #prefix: Buffer
  readonly #end: Buffer
  /** RangeStream was refused: not asked again in this run. */
  #withoutStream = false

  constructor(kind: Kind, style: Style, connection: Connection, figures: Figures, history: History) {
    this.kind = kind
    this.style = style
    this.#connection = connection
    this.#figures = figures
    this.#history = history
    this.#prefix = Buffer.from(prefixOf(kind))
    this.#end = prefixEnd(prefixOf(kind))
  }

  /** False: it exists already. */
  async create(key: Buffer, value: Buffer, lease = 0n): Promise<boolean> {
    const answer = await this.#figures.time("create", () =>
      this.#connection.txn({ compare: [isMod(key, 0)], success: [putOp(key, value, lease)], failure: [] })
    )
    return answer.succeeded && this.#wrote(answer, key, crc32(value), lease)
  }

  /** Writes until nobody was faster; false: the object is gone. */
  async update(key: Buffer, value: Buffer, believedRevision: number): Promise<boolean> {
    for (let revision = believedRevision; ;) {
      const answer = await this.#figures.time("update", () =>
        this.#connection.txn({ compare: [isMod(key, revision)], success: [putOp(key, value)], failure: [rangeOp(key)] })
      )
      if (answer.succeeded) return this.#wrote(answer, key, crc32(value), 0n)
      const now = this.#present(answer, key)
      if (now === undefined) return false
      this.#figures.count("conflict")
      revision = now
    }
  }

  async delete(key: Buffer, believedRevision: number): Promise<boolean> {
    for (let revision = believedRevision; ;) {
      const answer = await this.#figures.time("delete", () =>
        this.#connection.txn({ compare: [isMod(key, revision)], success: [deleteOp(key)], failure: [rangeOp(key)] })
      )
      if (answer.succeeded) return this.#wrote(answer, key, undefined, 0n)
      const now = this.#present(answer, key)
      if (now === undefined) return false
      this.#figures.count("conflict")
      revision = now
    }
  }

  /** The object's revision by the failure branch. */
  #present(answer: TxnResponse, key: Buffer): number | undefined {
    const op = answer.responses[0]
    if (op?.kind !== "range") throw new Error(`a lost compare on ${textOf(key)} brought no range but ${op?.kind}`)
    return op.range.kvs[0]?.modRevision
  }

  #wrote(answer: TxnResponse, key: Buffer, crc: number | undefined, lease: bigint): true {
    const op = answer.responses[0]
    const nested = op?.kind === "put" ? op.put.header : op?.kind === "deleteRange" ? op.deleteRange.header : undefined
    if (nested === undefined) throw new Error(`a write of ${textOf(key)} has no header in its first response`)
    const outer = answer.header!.revision
    if (nested.revision !== outer) {
      this.#history.violation(`${textOf(key)} was written at ${outer}, its nested header says ${nested.revision}`)
    }
    if (op?.kind === "deleteRange" && op.deleteRange.deleted !== 1) {
      this.#history.violation(`the deletion of ${textOf(key)} deleted ${op.deleteRange.deleted} keys`)
    }
    this.#history.write(this.style === "more" ? nested.revision : outer, { key: textOf(key), crc, lease })
    return true
  }

  async get(key: Buffer): Promise<Held | undefined> {
    const limit = this.style === "count" ? 1 : 0
    const answer = await this.#figures.time("get", () => this.#connection.range(rangeOf(key, { limit })))
    return answer.kvs[0] === undefined ? undefined : heldBy(answer.kvs[0])
  }

  /** Page by page, all at the revision of the first. */
  async list(pageSize: number, atRevision = 0): Promise<List> {
    const items = new Map<string, Held>()
    let revision = atRevision
    let start = this.#prefix
    for (let limit = pageSize; ; limit = Math.min(limit * 2, pageMax)) {
      const request = rangeOf(start, { rangeEnd: this.#end, limit, revision })
      const page = await this.#figures.time("list, a page", () => this.#connection.range(request))
      if (revision === 0) revision = page.header!.revision
      this.#take(items, page)
      const more = page.kvs.length < page.count
      if (more !== page.more) {
        this.#history.violation(`a page of ${page.kvs.length} of ${page.count} keys has more = ${page.more}`)
      }
      if (this.style === "more" ? !page.more : !more) return { revision, items }
      const last = page.kvs.at(-1)
      if (last === undefined) throw new Error(`an empty page of ${this.kind} says that there is more`)
      start = Buffer.concat([last.key, Buffer.of(0)])
    }
  }

  /** In one request: as a stream where there is one, else as one Range. */
  async listWhole(): Promise<List> {
    const items = new Map<string, Held>()
    const request = rangeOf(this.#prefix, { rangeEnd: this.#end })
    if (!this.#withoutStream) {
      const start = performance.now()
      const chunks = await this.#connection.rangeStream(request)
      if (chunks !== undefined) {
        this.#figures.add("list, RangeStream", performance.now() - start)
        return this.#streamed(chunks, items)
      }
      this.#withoutStream = true
      this.#figures.count("RangeStream is unimplemented")
    }
    const answer = await this.#figures.time("list, whole", () => this.#connection.range(request))
    this.#take(items, answer)
    if (answer.more || answer.count !== items.size) {
      this.#history.violation(`a whole list of ${items.size} keys has more = ${answer.more}, count ${answer.count}`)
    }
    return { revision: answer.header!.revision, items }
  }

  #streamed(chunks: ReadonlyArray<RangeResponse>, items: Map<string, Held>): List {
    for (const chunk of chunks) this.#take(items, chunk)
    const last = chunks.at(-1)
    const header = chunks.find((chunk) => chunk.header !== undefined)?.header
    if (last === undefined || header === undefined) throw new Error(`a RangeStream of ${this.kind} has no header`)
    if (last.more || last.count !== items.size) {
      this.#history.violation(`a RangeStream of ${items.size} keys has more = ${last.more}, count ${last.count}`)
    }
    return { revision: header.revision, items }
  }

  #take(items: Map<string, Held>, page: RangeResponse): void {
    for (const kv of page.kvs) items.set(textOf(kv.key), heldBy(kv))
  }

  async count(): Promise<number> {
    const request = rangeOf(this.#prefix, { rangeEnd: this.#end, countOnly: true })
    const answer = await this.#figures.time("count", () => this.#connection.range(request))
    if (answer.kvs.length > 0) this.#history.violation("a count has keys")
    return answer.count
  }

  async keys(): Promise<ReadonlyArray<string>> {
    const request = rangeOf(this.#prefix, { rangeEnd: this.#end, keysOnly: true })
    const answer = await this.#figures.time("list, keys only", () => this.#connection.range(request))
    if (answer.kvs.some((kv) => kv.value.length > 0)) this.#history.violation("a list of keys only has values")
    return answer.kvs.map((kv) => textOf(kv.key))
  }

  /** From 1.33 on by a key that is never there, before by a list of one. */
  async currentRevision(): Promise<number> {
    const request =
      this.style === "count"
        ? rangeOf(this.#prefix.subarray(0, -1))
        : rangeOf(this.#prefix, { rangeEnd: this.#end, limit: 1 })
    const answer = await this.#figures.time("current revision", () => this.#connection.range(request))
    return answer.header!.revision
  }
}
