/**
 * Locks between processes that use one directory. Both are SQLite's own file locks: the kernel releases them when the
 * process ends, however it ends, so nothing has to be cleaned up after a crash. Local disks only.
 */
import { randomInt } from "node:crypto"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type BetterSqlite3 from "better-sqlite3"
import { makeFolder } from "../internal/makeFolder.ts"

type Database = BetterSqlite3.Database
export type SqliteModule = typeof BetterSqlite3

/** Hidden from listings by its leading dot. */
const lockFolder = ".lock"
const patienceMillis = 5000
const pauseMillisMax = 4

const isBusy = (error: unknown): boolean => {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === "string" && code.startsWith("SQLITE_BUSY")
}

/** Another process has held the lock for too long. */
export class LockBusy extends Error {
  override readonly name = "LockBusy"
}

const open = async (sqlite: SqliteModule, path: string): Promise<Database> => {
  const database = new sqlite(path, { timeout: 0 })
  try {
    // A database with a page takes locks without writing anything; an empty one would be initialised every time.
    await patiently(path, () => database.exec("CREATE TABLE IF NOT EXISTS page (id INTEGER)"))
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Runs `attempt` until it does not find the lock taken. Sleeps in between, since waiting inside SQLite stops this thread. */
const patiently = async <A>(path: string, attempt: () => A): Promise<A> => {
  const until = performance.now() + patienceMillis
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (performance.now() > until)
        throw new LockBusy(`${path} was locked by another process for ${patienceMillis} ms`)
    }
    await sleep(randomInt(1, pauseMillisMax + 1))
  }
}

/** Mutual exclusion of short synchronous sections. */
export class SectionLock {
  readonly #path: string
  readonly #database: Database
  readonly #begin: BetterSqlite3.Statement
  readonly #end: BetterSqlite3.Statement

  private constructor(path: string, database: Database) {
    this.#path = path
    this.#database = database
    this.#begin = database.prepare("BEGIN EXCLUSIVE")
    this.#end = database.prepare("ROLLBACK")
  }

  static async open(sqlite: SqliteModule, root: string): Promise<SectionLock> {
    makeFolder(join(root, lockFolder), 0o700)
    const path = join(root, lockFolder, "section.sqlite3")
    return new SectionLock(path, await open(sqlite, path))
  }

  run<A>(section: () => A): Promise<A> {
    return patiently(this.#path, () => {
      this.#begin.run()
      try {
        return section()
      } finally {
        this.#end.run()
      }
    })
  }

  close(): void {
    this.#database.close()
  }
}

/** The lock that one process holds for as long as it lives. Undefined: another one has it. */
export const takeExclusive = async (
  sqlite: SqliteModule,
  root: string
): Promise<{ readonly release: () => void } | undefined> => {
  const path = join(root, lockFolder, "exclusive.sqlite3")
  const database = new sqlite(path, { timeout: 0 })
  try {
    database.exec("BEGIN EXCLUSIVE")
    return { release: () => void database.close() }
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}
