/** Plain file work of the storage. */
import { createHash } from "node:crypto"
import { closeSync, fsyncSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import { type FileVersion, fileVersion, type JournalEntry, type ObjectMeta } from "./journal.ts"

/** An object in the index: what it is, and which content of its file that describes. */
export interface Stored {
  readonly meta: ObjectMeta
  readonly version: FileVersion
}

export const writeWhole = (fd: number, bytes: Buffer): void => {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset)
}

export const syncFolder = (path: string): void => {
  const fd = openSync(path, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export const filesBelow = function* (root: string, folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(root, path)
    else if (entry.isFile() && !entry.name.startsWith(".")) yield path
  }
}

export const readStored = (
  file: string,
  path: string,
  known: (version: FileVersion) => JournalEntry | undefined
): Stored => {
  const fd = openSync(file, "r")
  try {
    const version = fileVersion(fd)
    const stat = statSync(file)
    const entry = known(version) ?? {
      etag: md5OfFile(fd),
      modifiedMillis: Math.trunc(stat.mtimeMs),
      headers: {},
      checksums: {}
    }
    return { version, meta: { path, size: stat.size, ...entry } }
  } finally {
    closeSync(fd)
  }
}

const md5OfFile = (fd: number): string => {
  const hash = createHash("md5")
  const piece = Buffer.allocUnsafe(1 << 20)
  for (let read = readSync(fd, piece); read > 0; read = readSync(fd, piece)) hash.update(piece.subarray(0, read))
  return hash.digest("hex")
}
