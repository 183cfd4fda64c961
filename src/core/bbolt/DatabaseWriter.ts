/**
 * A bbolt database file, written in one pass from sorted buckets of sorted keys. What `take` returns follows the first
 * three pages, which are known at the end only and are written to the file's beginning then.
 */
import { assert } from "../assert.ts"
import { bucketFlag, bucketValue, firstDataPage, headPages, pageBytes } from "./format.ts"
import { PageOutput } from "./PageOutput.ts"
import { TreeWriter } from "./TreeWriter.ts"

const encoder = new TextEncoder()

/** Takes the contents of a database, bucket by bucket. */
export interface BucketSink {
  /** Begins a bucket; names ascend. */
  readonly bucket: (name: string) => void
  /** Into the bucket that was begun last; keys ascend. */
  readonly put: (key: Uint8Array, value: Uint8Array) => void
}

export class DatabaseWriter implements BucketSink {
  /** Where the first bytes that `take` returns belong in the file. */
  static readonly dataAt = firstDataPage * pageBytes
  readonly #pages = new PageOutput()
  readonly #root = new TreeWriter(this.#pages)
  #name: string | undefined
  #tree: TreeWriter | undefined

  bucket(name: string): void {
    this.#endBucket()
    this.#name = name
    this.#tree = new TreeWriter(this.#pages)
  }

  put(key: Uint8Array, value: Uint8Array): void {
    assert(this.#tree !== undefined, "a bucket comes before its keys")
    this.#tree.put(key, value)
  }

  /** The file's bytes since the last call. */
  take(): Uint8Array {
    return this.#pages.take()
  }

  /** Ends the database: the file's first bytes. The last `take` comes after this. */
  finish(): Uint8Array {
    this.#endBucket()
    const root = this.#root.finish()
    return headPages(root, this.#pages.pageCount)
  }

  /** Of the whole file, once it is finished. */
  get fileBytes(): number {
    return this.#pages.pageCount * pageBytes
  }

  #endBucket(): void {
    if (this.#tree === undefined || this.#name === undefined) return
    this.#root.put(encoder.encode(this.#name), bucketValue(this.#tree.finish()), bucketFlag)
    this.#tree = undefined
  }
}
