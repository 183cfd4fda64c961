/** Starts the thread that touches the database. The release executable, which has no files, puts its own in this place. */
import { Worker } from "node:worker_threads"

/** `path` is the database's file. */
export const startWorker = (_path: string): Worker => {
  // The extension is this file's own: sources run as they are, a compiled build has .js everywhere.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
  return new Worker(new URL(`./worker.${extension}`, import.meta.url), { execArgv: [] })
}
