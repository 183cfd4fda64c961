/** The database of Netsy 1.x: how it is recognised and how its rows are read as records of a log of term 0. */
import * as fs from "node:fs"
import Database from "better-sqlite3"
import { encodeRecords, type Frame } from "../../core/localstore/frame.ts"
import { parseRfc3339 } from "../../core/localstore/rfc3339.ts"
import { emptyBytes, type LogRecord, type Timestamp } from "../../core/log/record.ts"
import { Damaged } from "./errors.ts"

const columnNames = [
  "revision",
  "key",
  "created",
  "deleted",
  "create_revision",
  "prev_revision",
  "version",
  "lease",
  "dek",
  "value",
  "created_at",
  "compacted_at",
  "leader_id",
  "replicated_at"
]

const pageBytesMax = 16 * 1024 * 1024

export const isNetsy1 = (db: Database.Database): boolean => {
  const names = db.prepare<[], string>("SELECT name FROM pragma_table_info('records') ORDER BY cid").pluck().all()
  return names.length === columnNames.length && names.every((name, i) => name === columnNames[i])
}

/** 64-bit integers are read as bigints, since a lease id may need all of them. */
interface Row {
  readonly revision: bigint
  readonly key: Uint8Array
  readonly created: bigint
  readonly deleted: bigint
  readonly create_revision: bigint
  readonly prev_revision: bigint
  readonly version: bigint
  readonly lease: bigint
  readonly dek: bigint
  readonly value: Uint8Array | null
  readonly created_at: string
  readonly compacted_at: string | null
  readonly leader_id: string
  readonly replicated_at: string | null
}

/** A set-aside database of Netsy 1.x, open for reading. */
export class Netsy1Reader {
  readonly file: string
  readonly count: number
  readonly lastRevision: number
  readonly floor: number
  private readonly db: Database.Database
  private readonly rows: Database.Statement<[number, number], Row>

  constructor(file: string) {
    this.file = file
    if (!fs.existsSync(file)) throw new Damaged(`${file}, which waits to be imported, is gone`)
    // Not opened read-only: its write-ahead log may have to be recovered, as Netsy 1.x would have done.
    this.db = new Database(file, { fileMustExist: true, timeout: 5000 })
    this.db.pragma("query_only = ON")
    const number = (sql: string): number => this.db.prepare<[], number>(sql).pluck().get() ?? 0
    this.count = number("SELECT count(*) FROM records")
    this.lastRevision = number("SELECT max(revision) FROM records")
    const compactions = number("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'compactions'")
    this.floor = compactions === 0 ? 0 : number("SELECT max(compaction_revision) FROM compactions")
    this.rows = this.db
      .prepare<[number, number], Row>(
        `SELECT ${columnNames.join(", ")} FROM records WHERE revision >= ? ORDER BY revision LIMIT ?`
      )
      .safeIntegers(true)
  }

  read(fromRevision: number, maxRecords: number): Frame {
    const records: Array<LogRecord> = []
    let bytes = 0
    for (const row of this.rows.iterate(fromRevision, maxRecords)) {
      const record = toRecord(row)
      records.push(record)
      bytes += record.key.length + record.value.length
      if (bytes >= pageBytesMax) break
    }
    return encodeRecords(records)
  }

  close(): void {
    this.db.close()
  }
}

const toRecord = (row: Row): LogRecord => {
  const revision = Number(row.revision)
  return {
    index: revision,
    term: 0,
    sub: 0,
    revision,
    key: asBytes(row.key),
    created: row.created !== 0n,
    deleted: row.deleted !== 0n,
    createRevision: Number(row.create_revision),
    prevRevision: Number(row.prev_revision),
    version: Number(row.version),
    lease: row.lease,
    dek: Number(row.dek),
    value: row.value === null ? emptyBytes : asBytes(row.value),
    createdAt: toTime(row.created_at, revision, "created_at"),
    compactedAt: row.compacted_at === null ? undefined : toTime(row.compacted_at, revision, "compacted_at"),
    leaderId: row.leader_id,
    replicatedAt: row.replicated_at === null ? undefined : toTime(row.replicated_at, revision, "replicated_at"),
    op: undefined
  }
}

/** SQLite's types are per value: a key that was stored as text is still the same bytes. */
const asBytes = (value: unknown): Uint8Array => (typeof value === "string" ? Buffer.from(value) : (value as Uint8Array))

const toTime = (text: string, revision: number, column: string): Timestamp => {
  const time = parseRfc3339(text)
  if (time === undefined) throw new Damaged(`the Netsy 1.x row of revision ${revision} has ${column} "${text}"`)
  return time
}
