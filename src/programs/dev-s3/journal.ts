/**
 * What files cannot say about objects: ETags, headers, checksums. One line per write, appended before the file takes
 * its name; a line describes exactly the file with that inode, time and size, so a crash at any moment leaves every
 * object whole, with its own description or (a file somebody copied in by hand) with one made from its contents.
 */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import { join } from "node:path"

/** Headers that come back with the object: content type, storage class, encryption, `x-amz-meta-*`. */
export type ObjectHeaders = Readonly<Record<string, string>>

export interface ObjectMeta {
  /** Below the bucket's folder. */
  readonly path: string
  readonly size: number
  /** Without quotes. */
  readonly etag: string
  readonly modifiedMillis: number
  readonly headers: ObjectHeaders
  /** By algorithm (`crc32` …), base64, as the client sent them. */
  readonly checksums: Readonly<Record<string, string>>
}

export type JournalEntry = Pick<ObjectMeta, "etag" | "modifiedMillis" | "headers" | "checksums">

/** Identifies one content of a file: inode, modification time in nanoseconds, size. */
export type FileVersion = string

export const fileVersion = (fd: number): FileVersion => {
  const stat = fstatSync(fd, { bigint: true })
  return `${stat.ino}-${stat.mtimeNs}-${stat.size}`
}

interface Line {
  readonly b: string
  readonly k: string
  readonly v: FileVersion
  readonly e: string
  readonly m: number
  readonly h?: ObjectHeaders
  readonly c?: Readonly<Record<string, string>>
}

const name = "journal.jsonl"

const lineOf = (bucket: string, key: string, version: FileVersion, meta: JournalEntry): string => {
  const line: Line = {
    b: bucket,
    k: key,
    v: version,
    e: meta.etag,
    m: meta.modifiedMillis,
    ...(Object.keys(meta.headers).length > 0 ? { h: meta.headers } : {}),
    ...(Object.keys(meta.checksums).length > 0 ? { c: meta.checksums } : {})
  }
  return `${JSON.stringify(line)}\n`
}

/** Everything the journal in `folder` knows, by bucket, key and version. Torn or foreign lines are passed over. */
export const readJournal = (
  folder: string
): ((bucket: string, key: string, version: FileVersion) => JournalEntry | undefined) => {
  const entries = new Map<string, JournalEntry>()
  let text = ""
  try {
    text = readFileSync(join(folder, name), "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
  }
  for (const raw of text.split("\n")) {
    if (raw === "") continue
    try {
      const line = JSON.parse(raw) as Line
      entries.set(`${line.b}/${line.k}\n${line.v}`, {
        etag: line.e,
        modifiedMillis: line.m,
        headers: line.h ?? {},
        checksums: line.c ?? {}
      })
    } catch {
      continue
    }
  }
  return (bucket, key, version) => entries.get(`${bucket}/${key}\n${version}`)
}

export class Journal {
  #fd: number
  #lines = 0
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    this.#fd = openSync(join(folder, name), "a")
  }

  /** Lines since the last `rewrite`. */
  get lines(): number {
    return this.#lines
  }

  append(bucket: string, key: string, version: FileVersion, meta: JournalEntry): void {
    writeSync(this.#fd, lineOf(bucket, key, version, meta))
    this.#lines++
  }

  /** Replaces the journal by one that holds only what exists. */
  rewrite(
    objects: Iterable<{
      readonly bucket: string
      readonly key: string
      readonly version: FileVersion
      readonly meta: ObjectMeta
    }>
  ): void {
    const next = join(this.#folder, `${name}.new`)
    const fd = openSync(next, "w")
    let pending = ""
    for (const { bucket, key, version, meta } of objects) {
      pending += lineOf(bucket, key, version, meta)
      if (pending.length > 1 << 20) {
        writeSync(fd, pending)
        pending = ""
      }
    }
    writeSync(fd, pending)
    renameSync(next, join(this.#folder, name))
    closeSync(this.#fd)
    this.#fd = fd
    this.#lines = 0
  }

  close(): void {
    closeSync(this.#fd)
  }
}
