/**
 * Opening, in this order: lock (before anything is read: it proves the old process dead), note of damage, judgement,
 * setting aside, making or opening, start counter. A Netsy 1.x database is noted for import before it is moved, so that
 * a crash at any moment leaves either it or the note.
 */
import * as path from "node:path"
import type Database from "better-sqlite3"
import { type LogState, zeroLog } from "../../core/localstore/logState.ts"
import { Damaged, reasonOf, Unusable } from "./errors.ts"
import {
  damagedNote,
  freeName,
  importNote,
  makeDirectory,
  readNote,
  removeNote,
  setAside,
  syncDirectory,
  takeLock,
  writeNote
} from "./files.ts"
import { judge, type OwnFacts, readOwnFacts } from "./judge.ts"
import { Netsy1Reader } from "./netsy1.ts"
import { connect, createSchema, Facts, formatVersion, ownFacts } from "./schema.ts"
import { StateFacts } from "./stateFacts.ts"

export interface OpenOptions {
  readonly file: string
  /** For dated names, made by `fileStamp`. */
  readonly stamp: string
  /** Used if the database is fresh. */
  readonly incarnation: string
}

export interface OpenDatabase extends OwnFacts {
  readonly db: Database.Database
  readonly lock: Database.Database
  readonly setAside: { readonly path: string; readonly reason: string } | undefined
  readonly imported: Netsy1Reader | undefined
}

export const openDatabase = (options: OpenOptions): OpenDatabase => {
  makeDirectory(options.file)
  const lock = takeLock(options.file)
  try {
    const aside = clearTheWay(options)
    const imported = openImport(options.file)
    const db = connect(options.file)
    try {
      if (db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0) makeFresh(db, options.incarnation)
      const facts = start(db)
      syncDirectory(options.file)
      return { db, lock, setAside: aside, imported, ...facts }
    } catch (error) {
      db.close()
      throw error
    }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** Afterwards the name is free or holds a sound database of ours. */
const clearTheWay = ({ file, stamp }: OpenOptions): OpenDatabase["setAside"] => {
  const note = readNote(damagedNote(file))
  if (note !== undefined) {
    const target = setAside(file, "damaged", stamp)
    removeNote(damagedNote(file))
    return { path: target, reason: note }
  }
  const verdict = judge(file)
  switch (verdict.kind) {
    case "nothing":
    case "ours":
      return undefined
    case "netsy-1x":
      writeNote(importNote(file), path.basename(freeName(file, "netsy-1x", stamp)))
      setAside(file, "netsy-1x", stamp)
      return undefined
    case "unusable":
      return { path: setAside(file, verdict.label, stamp), reason: verdict.reason }
  }
}

const openImport = (file: string): Netsy1Reader | undefined => {
  const name = readNote(importNote(file))
  if (name === undefined) return undefined
  const old = path.join(path.dirname(file), name)
  try {
    return new Netsy1Reader(old)
  } catch (error) {
    const advice = `remove ${importNote(file)} to go on without it`
    throw new Unusable(`the Netsy 1.x database cannot be imported: ${reasonOf(error)}; ${advice}`, old)
  }
}

const makeFresh = (db: Database.Database, incarnation: string): void => {
  db.transaction(() => {
    createSchema(db)
    const facts = new Facts(db)
    facts.setOwn(ownFacts.node, { format: formatVersion, incarnation, starts: 0 })
    facts.setOwn(ownFacts.promises, { fenced: 0, reigned: 0 })
    facts.setOwn(ownFacts.log, zeroLog)
  })()
}

/** Counts this start durably, and drops what an unfinished restore has left. */
const start = (db: Database.Database): OwnFacts =>
  db.transaction((): OwnFacts => {
    const facts = new Facts(db)
    const found = readOwnFacts(db)
    if (found.node.format !== formatVersion) throw new Damaged(`format is ${found.node.format}`)
    const node = { ...found.node, starts: found.node.starts + 1 }
    facts.setOwn(ownFacts.node, node)
    let log: LogState = found.log
    if (log.restoring) {
      db.exec("DELETE FROM records")
      new StateFacts(db, facts).clear()
      log = zeroLog
      facts.setOwn(ownFacts.log, log)
    }
    return { node, promises: found.promises, log }
  })()
