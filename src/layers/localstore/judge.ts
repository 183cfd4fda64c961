/** Looks at what lies under the database's name without changing it: nothing, ours and sound, Netsy 1.x, or not usable. */
import * as fs from "node:fs"
import Database from "better-sqlite3"
import type { LogState } from "../../core/localstore/logState.ts"
import { zeroLog } from "../../core/localstore/logState.ts"
import { Damaged, isDamage, isSqliteError, reasonOf, Unusable } from "./errors.ts"
import { isNetsy1 } from "./netsy1.ts"
import { columns, type Row, RowFrame } from "./rows.ts"
import {
  applicationId,
  describeSchema,
  expectedSchema,
  Facts,
  formatVersion,
  type NodeFact,
  ownFacts,
  pragma,
  type PromisesFact
} from "./schema.ts"
import { verifyState } from "./stateFacts.ts"

export type Verdict =
  | { readonly kind: "nothing" }
  | { readonly kind: "ours" }
  | { readonly kind: "netsy-1x" }
  | { readonly kind: "unusable"; readonly label: "damaged" | "foreign"; readonly reason: string }

export const judge = (file: string): Verdict => {
  if (!fs.existsSync(file) || fs.statSync(file).size === 0) {
    const wal = `${file}-wal`
    if (!fs.existsSync(wal) || fs.statSync(wal).size === 0) return { kind: "nothing" }
    return {
      kind: "unusable",
      label: "damaged",
      reason: "there is a write-ahead log, but its database is gone or empty"
    }
  }
  try {
    fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK)
  } catch (error) {
    throw new Unusable(reasonOf(error))
  }
  try {
    return withConnection(file, look)
  } catch (error) {
    if (isDamage(error)) return { kind: "unusable", label: "damaged", reason: reasonOf(error) }
    throw error
  }
}

/** Read-only, so that what is set aside stays as it was found; writable only where SQLite must first roll a journal back. */
const withConnection = <A>(file: string, use: (db: Database.Database) => A): A => {
  const run = (readonly: boolean): A => {
    const db = new Database(file, { readonly, fileMustExist: true, timeout: 5000 })
    try {
      db.pragma("cell_size_check = ON")
      return use(db)
    } finally {
      db.close()
    }
  }
  try {
    return run(true)
  } catch (error) {
    if (!isSqliteError(error) || !error.code.startsWith("SQLITE_READONLY")) throw error
    return run(false)
  }
}

const look = (db: Database.Database): Verdict => {
  const application = pragma(db, "application_id")
  const version = pragma(db, "user_version")
  if (application === applicationId) {
    assertVersion(db, version)
    verify(db)
    return { kind: "ours" }
  }
  const tables = db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get()
  // A power cut while the database was being made: the file has a first page and nothing else.
  if (application === 0 && version === 0 && tables === 0) return { kind: "nothing" }
  if (application === 0 && (version === 0 || version === 1) && isNetsy1(db)) {
    const complaint = db.pragma("quick_check(1)", { simple: true })
    if (complaint === "ok") return { kind: "netsy-1x" }
    return { kind: "unusable", label: "damaged", reason: `Netsy 1.x database: ${String(complaint)}` }
  }
  return {
    kind: "unusable",
    label: "foreign",
    reason: `not a database of Netsy (application_id ${String(application)}, user_version ${String(version)})`
  }
}

/** A newer version refuses to start, unless the number alone differs: then a bit has flipped. */
const assertVersion = (db: Database.Database, version: unknown): void => {
  if (version === formatVersion) return
  const format = new Facts(db).getOwn<NodeFact>(ownFacts.node, nodeExample).format
  if (format === formatVersion) throw new Damaged(`user_version is ${String(version)} instead of ${formatVersion}`)
  throw new Unusable(`written by a newer version of Netsy (format ${format}, this one reads up to ${formatVersion})`)
}

const nodeExample: NodeFact = { format: 0, incarnation: "", starts: 0 }
const promisesExample: PromisesFact = { fenced: 0, reigned: 0 }

export interface OwnFacts {
  readonly node: NodeFact
  readonly promises: PromisesFact
  readonly log: LogState
}

export const readOwnFacts = (db: Database.Database): OwnFacts => {
  const facts = new Facts(db)
  return {
    node: facts.getOwn(ownFacts.node, nodeExample),
    promises: facts.getOwn(ownFacts.promises, promisesExample),
    log: facts.getOwn(ownFacts.log, zeroLog)
  }
}

/** SQLite's full check, then our own: schema, facts, every record's checksum, a log without gaps. */
const verify = (db: Database.Database): void => {
  const complaint = pragma(db, "integrity_check(1)")
  if (complaint !== "ok") throw new Damaged(String(complaint))
  if (describeSchema(db) !== expectedSchema()) throw new Damaged("the schema is not ours")
  if (pragma(db, "journal_mode") !== "wal") throw new Damaged("the database is not in write-ahead mode")
  const { log } = readOwnFacts(db)
  for (const name of db.prepare<[], string>("SELECT name FROM meta").pluck().all()) new Facts(db).get(name)
  verifyState(new Facts(db), log.commitIndex)
  if (!log.restoring) verifyLog(db, log)
}

const verifyLog = (db: Database.Database, log: LogState): void => {
  const frame = new RowFrame()
  const rows = db.prepare<[], Row>(`SELECT ${columns} FROM records ORDER BY idx, sub, row`).raw(true)
  let last = { index: log.baseIndex, term: log.baseTerm, revision: log.baseRevision }
  let nextSub = 0
  for (const row of rows.iterate()) {
    frame.reset()
    frame.add(row)
    const [index, term, revision, sub] = row
    if (index <= log.baseIndex) continue
    if (index === last.index) {
      if (sub !== nextSub || term !== last.term || revision !== last.revision) {
        throw new Damaged(`entry ${index} is not whole at sub ${sub}`)
      }
    } else if (index !== last.index + 1 || sub !== 0 || term < last.term || revision < last.revision) {
      throw new Damaged(`entry ${index} does not follow entry ${last.index}`)
    }
    last = { index, term, revision }
    nextSub = sub + 1
  }
  if (last.index !== log.lastIndex || last.term !== log.lastTerm || last.revision !== log.lastRevision) {
    throw new Damaged(`the log ends at entry ${last.index}, not at ${log.lastIndex}`)
  }
}
