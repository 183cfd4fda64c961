/**
 * The files around the database: the process lock, setting a database aside, and the two small notes that outlive it.
 * The lock file is only ever opened by SQLite: closing another descriptor of it in this process would drop the lock.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import Database from "better-sqlite3"
import { isSqliteError, reasonOf, Unusable } from "./errors.ts"
import { makeFolder } from "../internal/makeFolder.ts"

export const makeDirectory = (file: string): void => {
  makeFolder(path.dirname(file), 0o750)
}

/** Makes creations, renames and removals in the database's folder durable. */
export const syncDirectory = (file: string): void => {
  const descriptor = fs.openSync(path.dirname(file), "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/**
 * An exclusive SQLite lock on an empty file beside the database. It dies with the process, whatever ends it. Who holds
 * it knows that no other process of this database is alive (design 6.3).
 */
export const takeLock = (file: string): Database.Database => {
  const name = `${file}.lock`
  const lock = new Database(name, { timeout: 0 })
  try {
    lock.exec("BEGIN EXCLUSIVE")
    return lock
  } catch (error) {
    lock.close()
    if (isSqliteError(error) && error.code.startsWith("SQLITE_BUSY")) {
      throw new Unusable(`in use by another process (it holds ${path.basename(name)})`)
    }
    const written = isSqliteError(error) && error.code.startsWith("SQLITE_NOTADB")
    const advice = written ? "; a lock file is empty: remove it while no node runs here" : ""
    throw new Unusable(`the lock file is not usable: ${reasonOf(error)}${advice}`, name)
  }
}

/** Moves the database and what belongs to it to a name that nothing has yet, and returns that name. */
export const setAside = (file: string, label: string, stamp: string): string => {
  const target = freeName(file, label, stamp)
  for (const suffix of ["-wal", "-shm", "-journal", ""]) {
    if (fs.existsSync(file + suffix)) fs.renameSync(file + suffix, target + suffix)
  }
  syncDirectory(file)
  return target
}

export const freeName = (file: string, label: string, stamp: string): string => {
  for (let attempt = 1; ; attempt++) {
    const name = `${file}.${label}-${stamp}${attempt === 1 ? "" : `-${attempt}`}`
    if (!["", "-wal", "-shm", "-journal"].some((suffix) => fs.existsSync(name + suffix))) return name
  }
}

/** A note beside the database, whole or absent after a crash. */
export const writeNote = (file: string, text: string): void => {
  const descriptor = fs.openSync(`${file}.new`, "w", 0o640)
  try {
    fs.writeSync(descriptor, text)
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
  fs.renameSync(`${file}.new`, file)
  syncDirectory(file)
}

export const readNote = (file: string): string | undefined =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined

export const removeNote = (file: string): void => {
  fs.rmSync(file, { force: true })
  syncDirectory(file)
}

/** Why the database must not be used again. */
export const damagedNote = (file: string): string => `${file}.damaged`
/** The name of the set-aside Netsy 1.x database that waits to be imported. */
export const importNote = (file: string): string => `${file}.import`
