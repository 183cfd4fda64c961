/**
 * In place of better-sqlite3's own first module: the native part comes from the executable, and it is written for a
 * moment beside the database that is opened, since that directory can be written to.
 */
import { dirname } from "node:path"
import createDatabase from "better-sqlite3/lib/database.js"
import SqliteError from "better-sqlite3/lib/sqlite-error.js"
import { addon } from "./addons.ts"

let near: string | undefined

const Base = createDatabase(() => addon("better_sqlite3", near), false)

class Database extends Base {
  static SqliteError = SqliteError
  constructor(filename?: unknown, options?: unknown) {
    if (typeof filename === "string" && filename.includes("/")) near = dirname(filename)
    super(filename, options)
  }
}

export default Database
