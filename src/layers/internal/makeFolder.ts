/**
 * `mkdir -p`, bounded. Node's own never returns where a parent exists but takes no entries and says "no such file", as
 * below /proc.
 */
import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** Throws what the file system says about the first folder that cannot be made. */
export const makeFolder = (path: string, mode: number): void => {
  const missing: Array<string> = []
  for (let folder = path; !isFolder(folder); folder = dirname(folder)) {
    missing.push(folder)
    if (dirname(folder) === folder) break
  }
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode })
    } catch (error) {
      // Another process may have made it meanwhile.
      if (!isFolder(folder)) throw error
    }
  }
}
