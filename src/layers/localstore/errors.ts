/** Which failures mean that the data is wrong, and which that the machine is. Only the former sets a database aside. */
import Database from "better-sqlite3"

/** The data contradicts itself or its checksums. */
export class Damaged extends Error {
  override readonly name = "Damaged"
}

/** The database cannot be used now, through no fault of its contents; `path` where it is not the database itself. */
export class Unusable extends Error {
  override readonly name = "Unusable"
  readonly path: string | undefined
  constructor(reason: string, path?: string) {
    super(reason)
    this.path = path
  }
}

/** SQLite's codes for a disk, a permission, memory or another process standing in the way. */
const operational = ["IOERR", "CANTOPEN", "FULL", "BUSY", "LOCKED", "PERM", "NOMEM", "AUTH", "PROTOCOL", "NOLFS"]

export const isSqliteError = (error: unknown): error is InstanceType<Database.SqliteError> =>
  error instanceof Database.SqliteError

const isOperational = (code: string): boolean =>
  operational.some((name) => code === `SQLITE_${name}` || code.startsWith(`SQLITE_${name}_`))

/** While a database is being looked at, every complaint of SQLite that is not operational is about the contents. */
export const isDamage = (error: unknown): boolean =>
  error instanceof Damaged || (isSqliteError(error) && !isOperational(error.code))

/** Later only the two codes that say so count: others may be a mistake of ours. */
export const isDamageFoundLate = (error: unknown): boolean =>
  error instanceof Damaged ||
  (isSqliteError(error) && (error.code.startsWith("SQLITE_CORRUPT") || error.code === "SQLITE_NOTADB"))

export const reasonOf = (error: unknown): string => {
  if (isSqliteError(error)) return `${error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}
