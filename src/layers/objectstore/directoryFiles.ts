/**
 * Objects as files: complete before they have their name, on the disk before anybody is told. A write costs two syncs:
 * the file's, then the folder's. Checks and renames of one section lock are synchronous and short.
 *
 * The ETag is inode, modification time and size. Every write sets a time that grows, and a replacement is given a later
 * time than what it replaces, so no two contents of a key have the same ETag.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  write,
  writeSync
} from "node:fs"
import { copyFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import type { Condition, ObjectInfo } from "../../services/ObjectStore.ts"
import type { SectionLock } from "./directoryLock.ts"
import { makeFolder } from "../internal/makeFolder.ts"

const temporaryFolder = ".tmp"
/** Temporary files of crashed processes are removed after this. */
const staleMillis = 3_600_000
/** Written at once; a larger piece must not hold up the main thread. */
const smallBytesMax = 256 << 10
/** A folder that vanishes under us is made again, but not for ever. */
const placeAttemptsMax = 5

const syncData = promisify(fdatasync)
const syncAll = promisify(fsync)
const writeLater = promisify(write)

export const codeOf = (error: unknown): string => {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === "string" ? code : ""
}

export const etagOf = (stat: BigIntStats): string =>
  `${stat.ino.toString(36)}-${stat.mtimeNs.toString(36)}-${stat.size.toString(36)}`

/** Undefined: no object there. */
export const describeFile = (key: string, path: string): ObjectInfo | undefined => {
  let stat: BigIntStats | undefined
  try {
    stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if (codeOf(error) !== "ENOTDIR") throw error
  }
  if (stat === undefined || !stat.isFile()) return undefined
  return { key, size: Number(stat.size), etag: etagOf(stat), lastModified: Number(stat.mtimeNs / 1_000_000n) }
}

/** A condition did not hold. */
export class ConditionFailed extends Error {
  override readonly name = "ConditionFailed"
}

/** A key whose name is a folder, or which lies below a file. */
export class NameTaken extends Error {
  override readonly name = "NameTaken"
}

/** An open temporary file, to be filled. */
export interface Draft {
  readonly path: string
  readonly fd: number
  open: boolean
}

export class DirectoryFiles {
  readonly root: string
  readonly #lock: SectionLock
  /** Folders whose names are known to be on the disk. */
  readonly #durable: Set<string>
  #drafts = 0
  #lastMicros = 0

  constructor(root: string, lock: SectionLock) {
    this.root = root
    this.#lock = lock
    this.#durable = new Set([root])
    makeFolder(join(root, temporaryFolder), 0o700)
  }

  /** Removes what crashed processes left behind. */
  tidy(nowMillis: number): void {
    const folder = join(this.root, temporaryFolder)
    for (const name of readdirSync(folder)) {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false })
      if (stat !== undefined && nowMillis - stat.mtimeMs > staleMillis) rmSync(join(folder, name), { force: true })
    }
  }

  pathOf(key: string): string {
    return join(this.root, key)
  }

  draft(): Draft {
    const path = join(this.root, temporaryFolder, `${process.pid}-${++this.#drafts}-${this.#nextMicros()}`)
    return { path, fd: openSync(path, "wx", 0o600), open: true }
  }

  /** Not to be given up half-way: the descriptor must stay open until it ends. */
  async append(draft: Draft, bytes: Uint8Array): Promise<void> {
    if (bytes.length <= smallBytesMax) {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(draft.fd, bytes, offset)
      return
    }
    for (let offset = 0; offset < bytes.length;) {
      offset += (await writeLater(draft.fd, bytes, offset, bytes.length - offset, null)).bytesWritten
    }
  }

  /** Closes a draft and removes its name, if it still has one. Twice does no harm. */
  discard(draft: Draft): void {
    if (!draft.open) return
    draft.open = false
    closeSync(draft.fd)
    rmSync(draft.path, { force: true })
  }

  /** Fails early, before anything is written, where the condition does not hold already. */
  checkNow(key: string, condition: Condition | undefined): void {
    if (condition === undefined) return
    const present = describeFile(key, this.pathOf(key))
    if ("ifAbsent" in condition ? present !== undefined : present?.etag !== condition.ifMatch)
      throw new ConditionFailed()
  }

  /** Makes the draft the object. Takes the draft over: it is closed and gone, whatever happens. */
  async place(draft: Draft, key: string, condition: Condition | undefined): Promise<string> {
    const target = this.pathOf(key)
    try {
      this.#stamp(draft, 0n)
      // Folders first: the sync of the file then often carries them along.
      this.#makeFolder(dirname(target))
      await syncData(draft.fd)
      let etag: string
      if (condition !== undefined && "ifAbsent" in condition) {
        etag = etagOf(fstatSync(draft.fd, { bigint: true }))
        this.#linkNew(draft.path, target)
      } else {
        etag = await this.#lock.run(() => this.#replace(draft, target, condition?.ifMatch))
      }
      await this.#syncFolder(dirname(target))
      return etag
    } finally {
      this.discard(draft)
    }
  }

  async remove(key: string): Promise<void> {
    const target = this.pathOf(key)
    const removed = await this.#lock.run(() => {
      if (describeFile(key, target) === undefined) return false
      unlinkSync(target)
      return true
    })
    if (removed) await this.#syncFolder(dirname(target))
  }

  /** Several at once, with one sync for each folder. */
  async removeMany(keys: ReadonlyArray<string>): Promise<void> {
    const folders = new Set<string>()
    // Short sections: others wait for the lock.
    for (let start = 0; start < keys.length; start += 32) {
      await this.#lock.run(() => {
        for (const key of keys.slice(start, start + 32)) {
          const target = this.pathOf(key)
          if (describeFile(key, target) === undefined) continue
          unlinkSync(target)
          folders.add(dirname(target))
        }
      })
    }
    for (const folder of folders) await this.#syncFolder(folder)
  }

  async copy(from: string, to: string): Promise<string> {
    const draft = this.draft()
    try {
      await copyFile(this.pathOf(from), draft.path, constants.COPYFILE_FICLONE)
    } catch (error) {
      this.discard(draft)
      throw error
    }
    return this.place(draft, to, undefined)
  }

  #nextMicros(): number {
    return (this.#lastMicros = Math.max(
      this.#lastMicros + 1,
      Math.floor((performance.timeOrigin + performance.now()) * 1000)
    ))
  }

  /** A modification time of its own, later than `behindNs`. */
  #stamp(draft: Draft, behindNs: bigint): void {
    const micros = Math.max(this.#nextMicros(), Number(behindNs / 1000n) + 2)
    futimesSync(draft.fd, micros / 1e6, micros / 1e6)
  }

  #replace(draft: Draft, target: string, ifMatch: string | undefined): string {
    const present = lstatSync(target, { bigint: true, throwIfNoEntry: false })
    if (present !== undefined && !present.isFile()) removeEmptyFolder(target)
    if (ifMatch !== undefined && (present === undefined || etagOf(present) !== ifMatch)) throw new ConditionFailed()
    let stat = fstatSync(draft.fd, { bigint: true })
    if (present !== undefined && stat.mtimeNs <= present.mtimeNs) {
      // The clock went back, or another process was faster.
      this.#stamp(draft, present.mtimeNs)
      stat = fstatSync(draft.fd, { bigint: true })
    }
    this.#inFolder(target, () => renameSync(draft.path, target))
    return etagOf(stat)
  }

  /** link(2) is the one call that creates a name only if it is free. */
  #linkNew(from: string, target: string): void {
    this.#inFolder(target, () => {
      try {
        linkSync(from, target)
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error
        if (lstatSync(target).isFile()) throw new ConditionFailed()
        removeEmptyFolder(target)
        linkSync(from, target)
      }
    })
  }

  #inFolder(target: string, act: () => void): void {
    for (let attempt = 1; ; attempt++) {
      try {
        act()
        return
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || attempt === placeAttemptsMax) throw error
        this.#durable.delete(dirname(target))
        this.#makeFolder(dirname(target))
      }
    }
  }

  #makeFolder(folder: string): void {
    if (this.#durable.has(folder)) return
    try {
      makeFolder(folder, 0o700)
    } catch (error) {
      const code = codeOf(error)
      if (code === "EEXIST" || code === "ENOTDIR") throw new NameTaken(`${folder} lies at or below an object`)
      throw error
    }
  }

  /** Names in `folder` are on the disk afterwards, and so is the folder's own name. */
  async #syncFolder(folder: string): Promise<void> {
    const parents: Array<string> = []
    for (let each = folder; !this.#durable.has(each); each = dirname(each)) parents.push(each)
    await Promise.all([syncOne(folder), ...parents.map((each) => syncOne(dirname(each)))])
    for (const each of parents) this.#durable.add(each)
  }
}

const syncOne = async (folder: string): Promise<void> => {
  const fd = openSync(folder, "r")
  try {
    await syncAll(fd)
  } finally {
    closeSync(fd)
  }
}

/** An empty folder may give way to an object of its name. */
const removeEmptyFolder = (path: string): void => {
  try {
    rmdirSync(path)
  } catch {
    throw new NameTaken(`${path} is a folder with objects`)
  }
}
