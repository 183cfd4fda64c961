/** The dumb model of the store: an array of all versions ever. */
import type { LogRecord } from "../../src/core/log/record.ts"
import { errors } from "../../src/core/wire/errors.ts"
import type { RangeRequest } from "../../src/core/wire/messages.ts"
import { text } from "./requests.ts"

export interface Row {
  readonly key: string
  readonly mod: number
  readonly sub: number
  readonly create: number
  readonly version: number
  readonly lease: bigint
  readonly deleted: boolean
  readonly value: string
}

export const rowOf = (record: LogRecord): Row => ({
  key: text(record.key),
  mod: record.revision,
  sub: record.sub,
  create: record.createRevision,
  version: record.version,
  lease: record.lease,
  deleted: record.deleted,
  value: text(record.value)
})

export class Model {
  rows: Array<Row> = []
  head = 1
  committed = 1
  compacted = -1

  /** The rows that count at a revision, in key order, tombstones included. */
  at(revision: number): Array<Row> {
    const newest = new Map<string, Row>()
    for (const row of this.rows) if (row.mod <= revision) newest.set(row.key, row)
    return [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  live(revision: number): Array<Row> {
    return this.at(revision).filter((row) => !row.deleted)
  }

  /** Rule C2. */
  kept(): Array<Row> {
    const current = new Set(this.at(this.compacted).filter((row) => !row.deleted || row.mod === this.compacted))
    return this.rows.filter((row) => row.mod > this.compacted || current.has(row))
  }

  /** What is cold: superseded by something committed. */
  isCold(row: Row): boolean {
    if (row.deleted) return false
    const next = this.rows.slice(this.rows.indexOf(row) + 1).find((later) => later.key === row.key)
    return next !== undefined && next.mod <= this.committed
  }
}

/** Rule R2. */
export const inside = (key: string, start: string, end: string): boolean =>
  end === "" ? key === start : key >= start && (end === "\0" || key < end)

const targets: ReadonlyArray<(row: Row) => string | number> = [
  (row) => row.key,
  (row) => row.version,
  (row) => row.create,
  (row) => row.mod,
  (row) => row.value
]

/** Rules R3 to R8, word by word. */
export const modelRange = (model: Model, request: RangeRequest, view: number) => {
  if (request.revision > view) return errors.futureRevision
  const revision = request.revision <= 0 ? view : request.revision
  if (revision < model.compacted) return errors.compacted
  const all = model.live(revision).filter(({ key }) => inside(key, text(request.key), text(request.rangeEnd)))
  if (request.countOnly) return { rows: [], more: false, count: all.length }
  const filters = [
    request.minModRevision,
    request.maxModRevision,
    request.minCreateRevision,
    request.maxCreateRevision
  ].some((bound) => bound !== 0)
  const ascendingByKey = request.sortOrder === 1 && request.sortTarget === 0
  const stopsEarly = request.limit > 0 && !filters && (request.sortOrder === 0 || ascendingByKey)
  let rows = stopsEarly ? all.slice(0, request.limit + 1) : all
  if (request.maxModRevision !== 0) rows = rows.filter((row) => row.mod <= request.maxModRevision)
  if (request.minModRevision !== 0) rows = rows.filter((row) => row.mod >= request.minModRevision)
  if (request.maxCreateRevision !== 0) rows = rows.filter((row) => row.create <= request.maxCreateRevision)
  if (request.minCreateRevision !== 0) rows = rows.filter((row) => row.create >= request.minCreateRevision)
  const by = targets[request.sortTarget]!
  const sign = request.sortOrder === 2 ? -1 : 1
  rows = rows.toSorted((a, b) => (by(a) === by(b) ? 0 : by(a) < by(b) ? -sign : sign))
  const more = request.limit > 0 && rows.length > request.limit
  if (more) rows = rows.slice(0, request.limit)
  return { rows, more, count: all.length }
}

/** What a client sees of a row. */
export const seen = (row: Row, request: Pick<RangeRequest, "keysOnly" | "sortTarget">) => ({
  key: row.key,
  modRevision: row.mod,
  createRevision: row.create,
  version: row.version,
  value: request.keysOnly ? "" : row.value,
  lease: request.keysOnly && request.sortTarget !== 4 ? 0n : row.lease
})
