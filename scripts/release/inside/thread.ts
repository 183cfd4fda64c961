/** In place of src/layers/localstore/thread.ts: the thread's code is an asset, and so is the library that it needs. */
import { dirname } from "node:path"
import { Worker } from "node:worker_threads"
import { addonFile, type WorkerData } from "./addons.ts"
import { workerLauncher } from "./launcher.ts"

export const startWorker = (path: string): Worker => {
  const workerData: WorkerData = { sqlite: addonFile("better_sqlite3", dirname(path)) }
  return new Worker(workerLauncher, { eval: true, execArgv: [], workerData })
}
