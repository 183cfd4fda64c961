/**
 * HashKV (reference etcd-api.md 2.8): the CRC-32C that real etcd answers for the same history. Fed with every stored
 * version in (revision, sub) order, page by page, since the values of old versions are on disk.
 */
import { assert } from "../assert.ts"
import { isInternal, type LogRecord } from "../log/record.ts"
import { type EtcdError, errors } from "../wire/errors.ts"
import { Writer } from "../wire/protobuf.ts"
import { writeRowKey, writeRowValue } from "./backendRow.ts"
import { crc32c } from "./crc32c.ts"
import { keyString } from "./keys.ts"
import type { MvccStore } from "./store.ts"

const bucketName = new TextEncoder().encode("key")

export class HashKv {
  /** The revision that is hashed. */
  readonly revision: number
  /** −1 when never compacted. */
  readonly compactRevision: number
  readonly #store: MvccStore
  /** Quirk: where no key is left at `revision`, etcd does not leave out what a compaction spared. */
  readonly #nothingLeft: boolean
  readonly #writer = new Writer(4096)
  #crc = crc32c(bucketName, 0)
  #last = { revision: 0, sub: 0 }

  /** `revision` 0: the current one. */
  static open(store: MvccStore, revision: number): HashKv | EtcdError {
    if (revision > 0 && revision < store.compactRevision) return errors.compacted
    if (revision > store.committedRevision) return errors.futureRevision
    return new HashKv(store, revision === 0 ? store.committedRevision : revision)
  }

  private constructor(store: MvccStore, revision: number) {
    this.#store = store
    this.revision = revision
    this.compactRevision = store.compactRevision
    this.#nothingLeft = store.countAll(revision) === 0
  }

  /** The next records; operations, and what lies above the revision or was compacted, are passed over. */
  add(records: Iterable<LogRecord>): void {
    for (const record of records) {
      if (record.op !== undefined || record.revision > this.revision || isInternal(record)) continue
      assert(
        record.revision > this.#last.revision ||
          (record.revision === this.#last.revision && record.sub > this.#last.sub),
        `HashKV gets (${record.revision}, ${record.sub}) after (${this.#last.revision}, ${this.#last.sub})`
      )
      this.#last = record
      if (record.revision > this.compactRevision || this.#counts(record)) this.#hash(record)
    }
  }

  digest(): number {
    return this.#crc
  }

  /**
   * Of versions at or below the compaction revision, those that are still current at the hashed revision; never a
   * tombstone, also not the one at the compaction revision that etcd stores since 3.5.16.
   */
  #counts(record: LogRecord): boolean {
    const at = this.#nothingLeft ? this.compactRevision : this.revision
    const current = this.#store.versionAt(keyString(record.key), at)
    return (
      current !== undefined && !current.deleted && current.modRevision === record.revision && current.sub === record.sub
    )
  }

  #hash(record: LogRecord): void {
    const writer = this.#writer.reset()
    writeRowKey(writer, record)
    writeRowValue(writer, record)
    this.#crc = crc32c(writer.view(), this.#crc)
  }
}
