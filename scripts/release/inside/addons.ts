/**
 * Native libraries. The system loads them from files only, and they are in the executable: so each is written to a
 * directory that nobody else can enter, loaded, and removed at once; what is loaded stays. Every process has its own
 * file, so nothing that somebody left behind is ever loaded, and two processes do not meet.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { constants } from "node:os"
import { dirname, join } from "node:path"
import { getRawAsset } from "node:sea"
import { isMainThread, workerData } from "node:worker_threads"
import { prefix, removeLeftovers } from "./leftovers.ts"

export type AddonName = "better_sqlite3" | "bcrypt" | "koffi"

/** What the database thread is given: the path under which the main thread has loaded the library. */
export interface WorkerData {
  readonly sqlite: string
}

interface Loaded {
  readonly file: string
  readonly exports: unknown
}

const loaded = new Map<AddonName, Loaded>()
/** Directories that could be written to when a database was opened there. */
const known = new Set<string>()

const dlopen = (file: string): unknown => {
  const module = { exports: {} }
  process.dlopen(module, file, constants.dlopen.RTLD_LAZY)
  return module.exports
}

const writeAll = (file: string, bytes: Uint8Array): void => {
  const fd = openSync(file, "wx", 0o500)
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
  } finally {
    closeSync(fd)
  }
}

const loadFrom = (place: string, name: AddonName): Loaded => {
  const directory = mkdtempSync(join(place, prefix))
  const file = join(directory, `${name}.node`)
  try {
    writeAll(file, new Uint8Array(getRawAsset(`${name}.node`)))
    return { file, exports: dlopen(file) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const placesFor = (near: string | undefined): ReadonlyArray<string> => {
  if (near !== undefined) known.add(near)
  const fixed = [process.env["TMPDIR"], "/tmp", "/var/tmp", process.env["XDG_RUNTIME_DIR"], "/dev/shm"]
  const given = [...known].flatMap((directory) => [directory, dirname(directory)])
  return [...new Set([...given, ...fixed.filter((place) => place !== undefined && place !== "")])] as Array<string>
}

const load = (name: AddonName, near: string | undefined): Loaded => {
  const reasons: Array<string> = []
  for (const place of placesFor(near)) {
    try {
      const found = loadFrom(place, name)
      removeLeftovers(place)
      return found
    } catch (error) {
      reasons.push(`${place}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(
    `the library ${name}, which is part of this program, has to be written to a file for a moment, and no directory ` +
      `lets it be written and loaded; set TMPDIR to one that is writable and not mounted noexec. Tried: ${reasons.join("; ")}`
  )
}

const ownAddon = (name: AddonName, near: string | undefined): Loaded => {
  const before = loaded.get(name)
  if (before !== undefined) return before
  const now = load(name, near)
  loaded.set(name, now)
  return now
}

/** Loads the library, and returns the path under which other threads of this process find it, though the file is gone. */
export const addonFile = (name: AddonName, near?: string): string => ownAddon(name, near).file

export const addon = (name: AddonName, near?: string): unknown =>
  isMainThread ? ownAddon(name, near).exports : dlopen((workerData as WorkerData).sqlite)
