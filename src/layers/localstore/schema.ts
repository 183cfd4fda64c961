/**
 * The database's schema, the settings every connection has, and the small checksummed facts.
 *
 * `records` holds one row a record: position, term and revision in columns, everything else in `body` (form:
 * src/core/localstore/frame.ts), and a CRC-32 over head, key and body. `kind` says how it takes part in the key history:
 * 0 a live version, 1 a tombstone, and not at all 2 an op and 3 the internal first record. `meta` holds facts by name; names
 * with a leading dot are the store's own, as JSON.
 */
import { crc32 } from "node:zlib"
import Database from "better-sqlite3"
import { Damaged, Unusable } from "./errors.ts"

/** "NTSY". */
export const applicationId = 0x4e545359
export const formatVersion = 2

const statements = [
  `CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    idx INTEGER NOT NULL,
    sub INTEGER NOT NULL,
    term INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    key BLOB NOT NULL,
    body BLOB NOT NULL
  ) STRICT`,
  "CREATE INDEX records_position ON records (idx, sub)",
  "CREATE INDEX records_ops ON records (idx) WHERE kind = 2",
  "CREATE INDEX records_revision ON records (revision, sub) WHERE kind < 2",
  "CREATE INDEX records_key ON records (key, revision, sub) WHERE kind < 2",
  "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID"
]

export const createSchema = (db: Database.Database): void => {
  for (const statement of statements) db.exec(statement)
  db.pragma(`application_id = ${applicationId}`)
  db.pragma(`user_version = ${formatVersion}`)
}

/** What SQLite itself says about the schema, for comparison. */
export const describeSchema = (db: Database.Database): string =>
  JSON.stringify(
    db
      .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name")
      .raw(true)
      .all()
  )

export const expectedSchema = (): string => {
  const db = new Database(":memory:")
  try {
    createSchema(db)
    return describeSchema(db)
  } finally {
    db.close()
  }
}

export const pragma = (db: Database.Database, name: string): unknown => db.pragma(name, { simple: true })

/** Opens the database for writing; every commit is in the file, fsynced, when it returns. */
export const connect = (file: string): Database.Database => {
  const db = new Database(file, { timeout: 5000 })
  try {
    // Effective only before the first table exists; lets free pages be given back later without a rewrite.
    db.pragma("auto_vacuum = INCREMENTAL")
    db.pragma("journal_mode = WAL")
    db.pragma("synchronous = FULL")
    db.pragma("wal_autocheckpoint = 4096")
    db.pragma("journal_size_limit = 67108864")
    db.pragma("cache_size = -32768")
    db.pragma("trusted_schema = OFF")
    db.pragma("cell_size_check = ON")
    const journal = pragma(db, "journal_mode")
    const synchronous = pragma(db, "synchronous")
    if (journal !== "wal") throw new Unusable(`journal_mode is ${String(journal)}, wal is needed`)
    if (synchronous !== 2) throw new Unusable(`synchronous is ${String(synchronous)}, 2 (FULL) is needed`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

const factCrc = (name: string, value: Uint8Array): number => crc32(value, crc32(name))

/** Reads and writes of `meta`. */
export class Facts {
  private readonly select: Database.Statement<[string], [Uint8Array, number]>
  private readonly upsert: Database.Statement<[string, Uint8Array, number], unknown>

  constructor(db: Database.Database) {
    this.select = db.prepare<[string], [Uint8Array, number]>("SELECT value, crc FROM meta WHERE name = ?").raw(true)
    this.upsert = db.prepare("INSERT OR REPLACE INTO meta (name, value, crc) VALUES (?, ?, ?)")
  }

  get(name: string): Uint8Array | undefined {
    const found = this.select.get(name)
    if (found === undefined) return undefined
    if (factCrc(name, found[0]) !== found[1]) throw new Damaged(`the fact "${name}" does not match its checksum`)
    return found[0]
  }

  set(name: string, value: Uint8Array): void {
    this.upsert.run(name, value, factCrc(name, value))
  }

  /** A fact of the store's own; each of its fields must be there and of the same type as in `example`. */
  getOwn<A extends object>(name: string, example: A): A {
    const bytes = this.get(name)
    if (bytes === undefined) throw new Damaged(`the fact "${name}" is missing`)
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"))
    if (typeof value !== "object" || value === null) throw new Damaged(`the fact "${name}" is not an object`)
    for (const [field, like] of Object.entries(example)) {
      const found = (value as Record<string, unknown>)[field]
      const right = typeof like === "number" ? Number.isSafeInteger(found) : typeof found === typeof like
      if (!right) throw new Damaged(`the fact "${name}" has no usable field "${field}"`)
    }
    return value as A
  }

  setOwn(name: string, value: object): void {
    this.set(name, Buffer.from(JSON.stringify(value)))
  }
}

export interface NodeFact {
  readonly format: number
  readonly incarnation: string
  readonly starts: number
}

export interface PromisesFact {
  readonly fenced: number
  readonly reigned: number
}

/** Where the stored state stands, and its parts. Absent until there is one. */
export interface StateFact {
  readonly generation: number
  readonly index: number
  readonly term: number
  readonly revision: number
  /** Operations in all parts. */
  readonly count: number
  readonly parts: number
}

export const ownFacts = { node: ".node", promises: ".promises", log: ".log" } as const
