/**
 * The buckets on disk: one folder a bucket, one file an object, everything else in `.dev-s3/`. All decisions (condition
 * checks, renames, the index) are synchronous, so two requests can never be between a check and its write.
 * A file takes its name only when it is complete: killing the process never leaves half an object.
 */
import {
  closeSync,
  fsync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync
} from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { compareKeys } from "../../core/s3/keyOrder.ts"
import { errors } from "./errors.ts"
import { filesBelow, readStored, type Stored, syncFolder, writeWhole } from "./files.ts"
import { type FileVersion, fileVersion, Journal, type ObjectMeta, readJournal } from "./journal.ts"
import { besideFolder, keyOfPath, pathOfKey } from "./paths.ts"

/** A complete body: in memory, or a file in the temporary folder that the storage may take over. */
export type Content = { readonly bytes: Buffer } | { readonly file: string; readonly size: number }

export interface Conditions {
  readonly ifNoneMatch: string | undefined
  readonly ifMatch: string | undefined
}

export interface Bucket {
  readonly name: string
  readonly createdMillis: number
  readonly objects: Map<string, Stored>
  /** Cache for listings; undefined after a change of the set of keys. */
  sorted: ReadonlyArray<string> | undefined
}

const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const keyBytesMax = 1024
const internalFolder = ".dev-s3"
const rememberedDeletesMax = 100_000
const fsyncLater = promisify(fsync)

const unquote = (etag: string): string =>
  etag
    .trim()
    .replace(/^W\//, "")
    .replace(/^"(.*)"$/, "$1")

/** Whether an If-Match or If-None-Match header names this ETag. */
export const namesEtag = (header: string, etag: string): boolean =>
  header.split(",").some((item) => item.trim() === "*" || unquote(item) === etag)

export class Storage {
  readonly buckets = new Map<string, Bucket>()
  readonly temporaryFolder: string
  readonly uploadsFolder: string
  readonly #dir: string
  readonly #journal: Journal
  readonly #fsync: boolean
  #sequence = 0
  #temporaryFiles = 0
  #deleted = new Map<string, number>()

  constructor(dir: string, options: { readonly fsync: boolean }) {
    this.#dir = dir
    this.#fsync = options.fsync
    const internal = join(dir, internalFolder)
    this.temporaryFolder = join(internal, "tmp")
    this.uploadsFolder = join(internal, "uploads")
    rmSync(this.temporaryFolder, { recursive: true, force: true })
    mkdirSync(this.temporaryFolder, { recursive: true })
    mkdirSync(this.uploadsFolder, { recursive: true })
    const known = readJournal(internal)
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (!entry.isDirectory() || !bucketName.test(entry.name)) continue
      const bucket = this.#addBucket(entry.name)
      for (const path of filesBelow(join(dir, entry.name), "")) {
        const key = keyOfPath(path)
        bucket.objects.set(
          key,
          readStored(join(dir, entry.name, path), path, (v) => known(entry.name, key, v))
        )
      }
    }
    this.#journal = new Journal(internal)
    this.#journal.rewrite(this.#all())
  }

  close(): void {
    this.#journal.close()
  }

  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name)
    if (bucket === undefined) throw errors.noSuchBucket()
    return bucket
  }

  /** False: it existed already. */
  createBucket(name: string): boolean {
    if (!bucketName.test(name) || name.includes("..")) throw errors.invalidArgument(`"${name}" is not a bucket name`)
    if (this.buckets.has(name)) return false
    mkdirSync(join(this.#dir, name), { recursive: true })
    this.#addBucket(name)
    return true
  }

  deleteBucket(name: string): void {
    rmSync(join(this.#dir, this.bucket(name).name), { recursive: true, force: true })
    this.buckets.delete(name)
  }

  keys(bucket: Bucket): ReadonlyArray<string> {
    bucket.sorted ??= [...bucket.objects.keys()].sort(compareKeys)
    return bucket.sorted
  }

  find(bucketName: string, key: string): ObjectMeta {
    const stored = this.bucket(bucketName).objects.get(key)
    if (stored === undefined) throw errors.noSuchKey()
    return stored.meta
  }

  pathOf(bucketName: string, meta: ObjectMeta): string {
    return join(this.#dir, bucketName, meta.path)
  }

  /** The object's file, opened. One that somebody removed by hand is gone from the bucket too. */
  open(bucketName: string, key: string, meta: ObjectMeta): number {
    try {
      return openSync(this.pathOf(bucketName, meta), "r")
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error
      const bucket = this.bucket(bucketName)
      bucket.objects.delete(key)
      bucket.sorted = undefined
      throw errors.noSuchKey()
    }
  }

  /** To be taken when a request's head has arrived and given to `put`: a delete in between is a conflict. */
  begin(): number {
    return ++this.#sequence
  }

  /** No request is under way any more: nothing can conflict with earlier deletes. */
  forgetDeletes(): void {
    if (this.#deleted.size > 0) this.#deleted = new Map()
  }

  temporaryFile(): string {
    // The folder is emptied at start: a number is enough.
    return join(this.temporaryFolder, String(++this.#temporaryFiles))
  }

  /** Takes `content` over as the object, if the conditions hold at this moment. */
  async put(
    bucketName: string,
    key: string,
    content: Content,
    description: Pick<ObjectMeta, "etag" | "headers" | "checksums">,
    conditions: Conditions,
    begun: number,
    nowMillis: number
  ): Promise<ObjectMeta> {
    const bucket = this.bucket(bucketName)
    if (Buffer.byteLength(key) > keyBytesMax) throw errors.invalidArgument("Your key is too long")
    let fd: number
    let file: string
    if ("file" in content) {
      file = content.file
      fd = openSync(file, "r+")
    } else {
      // Checked again below; here it saves the write.
      this.#check(bucket, key, conditions, begun)
      file = this.temporaryFile()
      fd = openSync(file, "wx")
    }
    let moved = false
    try {
      if ("bytes" in content) writeWhole(fd, content.bytes)
      if (this.#fsync) await fsyncLater(fd)
      this.#check(bucket, key, conditions, begun)
      const version = fileVersion(fd)
      const previous = bucket.objects.get(key)
      const size = "file" in content ? content.size : content.bytes.length
      const described = { size, modifiedMillis: nowMillis, ...description }
      this.#journal.append(bucketName, key, version, described)
      const path = this.#moveTo(bucket, previous?.meta.path ?? pathOfKey(key), file)
      moved = true
      const meta: ObjectMeta = { path, ...described }
      bucket.objects.set(key, { meta, version })
      if (previous === undefined) bucket.sorted = undefined
      if (this.#journal.lines > 10_000 + 2 * bucket.objects.size) this.#journal.rewrite(this.#all())
      if (this.#fsync) syncFolder(dirname(join(this.#dir, bucketName, path)))
      return meta
    } finally {
      closeSync(fd)
      if (!moved) rmSync(file, { force: true })
    }
  }

  /** Deleting what is not there succeeds. */
  delete(bucketName: string, key: string): void {
    const bucket = this.bucket(bucketName)
    const stored = bucket.objects.get(key)
    if (stored === undefined) return
    const path = join(this.#dir, bucketName, stored.meta.path)
    rmSync(path, { force: true })
    bucket.objects.delete(key)
    bucket.sorted = undefined
    if (this.#deleted.size === rememberedDeletesMax) this.forgetDeletes()
    this.#deleted.set(`${bucketName}/${key}`, ++this.#sequence)
    this.#removeEmptyFolders(dirname(path), join(this.#dir, bucketName))
  }

  #check(bucket: Bucket, key: string, conditions: Conditions, begun: number): void {
    const { ifNoneMatch, ifMatch } = conditions
    if (ifNoneMatch === undefined && ifMatch === undefined) return
    if ((this.#deleted.get(`${bucket.name}/${key}`) ?? 0) > begun) throw errors.conflict()
    const etag = bucket.objects.get(key)?.meta.etag
    if (ifNoneMatch !== undefined && etag !== undefined) throw errors.preconditionFailed()
    if (ifMatch !== undefined) {
      if (etag === undefined) throw errors.noSuchKey()
      if (!namesEtag(ifMatch, etag)) throw errors.preconditionFailed()
    }
  }

  /** Gives the file its name; makes room where a file is in the way of a folder or the other way round. */
  #moveTo(bucket: Bucket, path: string, file: string): string {
    const target = join(this.#dir, bucket.name, path)
    try {
      renameSync(file, target)
      return path
    } catch (error) {
      const code = codeOf(error)
      if (code === "EISDIR") return this.#moveTo(bucket, path + besideFolder, file)
      if (code !== "ENOENT" && code !== "ENOTDIR") throw error
    }
    this.#makeFolder(bucket, dirname(path))
    renameSync(file, target)
    return path
  }

  /** `path` below the bucket's folder. */
  #makeFolder(bucket: Bucket, path: string): void {
    const folder = join(this.#dir, bucket.name, path)
    try {
      mkdirSync(folder)
      return
    } catch (error) {
      const code = codeOf(error)
      if (code === "ENOENT" || code === "ENOTDIR") {
        this.#makeFolder(bucket, dirname(path))
        mkdirSync(folder)
        return
      }
      if (code !== "EEXIST") throw error
    }
    if (lstatSync(folder).isDirectory()) return
    // An object has this name: it moves beside the folder.
    const stored = bucket.objects.get(keyOfPath(path))
    renameSync(folder, folder + besideFolder)
    if (stored !== undefined) {
      const meta = { ...stored.meta, path: path + besideFolder }
      bucket.objects.set(keyOfPath(path), { ...stored, meta })
    }
    mkdirSync(folder)
  }

  #removeEmptyFolders(folder: string, root: string): void {
    for (let current = folder; current !== root; current = dirname(current)) {
      try {
        rmdirSync(current)
      } catch {
        return
      }
    }
  }

  #addBucket(name: string): Bucket {
    const createdMillis = Math.trunc(statSync(join(this.#dir, name)).birthtimeMs)
    const bucket: Bucket = { name, createdMillis, objects: new Map(), sorted: undefined }
    this.buckets.set(name, bucket)
    return bucket
  }

  *#all(): Generator<{ bucket: string; key: string; version: FileVersion; meta: ObjectMeta }> {
    for (const bucket of this.buckets.values()) {
      for (const [key, { meta, version }] of bucket.objects) yield { bucket: bucket.name, key, version, meta }
    }
  }
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code)
