/** What the file system says, sorted by what the caller can do, with the path it says it about. */
import { Denied, Unavailable } from "../../services/ObjectStore.ts"
import { codeOf, NameTaken } from "./directoryFiles.ts"
import { LockBusy } from "./directoryLock.ts"

const hopeless: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  EROFS: "the file system is read-only",
  ENAMETOOLONG: "the name is too long for this file system"
}
const passing: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the disk",
  EDQUOT: "the disk quota is used up",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  EIO: "the disk failed to read or write"
}

export const failureOf = (operation: string, key: string, path: string, error: unknown): Unavailable | Denied => {
  const code = codeOf(error)
  const where = (error as NodeJS.ErrnoException).path ?? path
  const refused = hopeless[code]
  if (refused !== undefined) return new Denied({ operation, key, reason: `${refused} (${code}) at ${where}` })
  if (error instanceof NameTaken) return new Denied({ operation, key, reason: error.message })
  if (error instanceof RangeError) {
    return new Denied({ operation, key, reason: `the range lies outside of the object (${error.message})` })
  }
  if (error instanceof LockBusy) return new Unavailable({ operation, key, reason: error.message })
  const known = passing[code]
  const message = error instanceof Error ? error.message : String(error)
  return new Unavailable({ operation, key, reason: known === undefined ? message : `${known} (${code}) at ${where}` })
}

export const missing = (): Error => Object.assign(new Error("no such object"), { code: "ENOENT" })

export const isMissing = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR"
}
