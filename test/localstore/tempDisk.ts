/** A database file in a folder of its own that goes with the test. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Effect } from "effect"

export const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => path.join(fs.mkdtempSync(path.join(os.tmpdir(), "netsy-localstore-")), "data", "db.sqlite3")),
  (file) => Effect.sync(() => fs.rmSync(path.dirname(path.dirname(file)), { recursive: true, force: true }))
)
