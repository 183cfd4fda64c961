/**
 * What a node that holds the bucket's history must answer: HashKV at a revision, and the keys and values that a
 * serializable read of everything shows there. Fed with every version in order, in one pass behind the one that made
 * `LastVersions`; does not share the node's own way to the hash, which it is there to check.
 */
import { isInternal, type LogRecord } from "../log/record.ts"
import { crc32c } from "../mvcc/crc32c.ts"
import { writeRowKey, writeRowValue } from "../mvcc/backendRow.ts"
import { Writer } from "../wire/protobuf.ts"
import type { LastVersions } from "./LastVersions.ts"
import { changeDigest, type KeyChange } from "./Revisions.ts"

const bucketName = new TextEncoder().encode("key")

/** Is it a change of a key at or below `revision`? */
export const isChange = (record: LogRecord, revision: number): boolean =>
  record.op === undefined && record.revision <= revision && !isInternal(record)

/** Two numbers below it have an exact sum. */
const modulus = 2 ** 52

/** The same keys with the same values give the same sum, in any order. */
export class Contents {
  keys = 0
  #sum = 0

  add(change: KeyChange & { readonly modRevision: number }): void {
    this.keys++
    this.#sum = (this.#sum + changeDigest(change) * 2 ** 20 + (change.modRevision % 2 ** 20)) % modulus
  }

  get digest(): string {
    return this.#sum.toString(16)
  }
}

export class Replay {
  readonly contents = new Contents()
  readonly #current: LastVersions
  readonly #showsAny: boolean
  readonly #revision: number
  readonly #compactRevision: number
  readonly #writer = new Writer(4096)
  #crc = crc32c(bucketName, 0)

  /**
   * `current`: at the revision; where no key is left there (`showsAny` false), at the compaction revision: etcd then
   * hashes what the compaction has spared.
   */
  constructor(current: LastVersions, showsAny: boolean, revision: number, compactRevision: number) {
    this.#current = current
    this.#showsAny = showsAny
    this.#revision = revision
    this.#compactRevision = compactRevision
  }

  add(record: LogRecord): void {
    if (!isChange(record, this.#revision)) return
    const isCurrent = this.#current.isCurrent(record)
    if (isCurrent && this.#showsAny) this.contents.add({ ...record, modRevision: record.revision })
    if (!isCurrent && record.revision <= this.#compactRevision) return
    const writer = this.#writer.reset()
    writeRowKey(writer, record)
    writeRowValue(writer, record)
    this.#crc = crc32c(writer.view(), this.#crc)
  }

  get hash(): number {
    return this.#crc
  }
}
