/**
 * `Hash` of the Maintenance service: a CRC-32C over every bucket's name, keys and values, as etcd takes it of its
 * database, without the facts in `meta` that move while nothing is written.
 */
import { crc32c } from "../mvcc/crc32c.ts"
import type { BucketSink } from "./DatabaseWriter.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const moving = new Set(["consistent_index", "term", "storageVersion"])

export class DatabaseHash implements BucketSink {
  #crc = 0
  #inMeta = false

  bucket(name: string): void {
    this.#inMeta = name === "meta"
    this.#crc = crc32c(encoder.encode(name), this.#crc)
  }

  put(key: Uint8Array, value: Uint8Array): void {
    if (this.#inMeta && moving.has(decoder.decode(key))) return
    this.#crc = crc32c(value, crc32c(key, this.#crc))
  }

  digest(): number {
    return this.#crc
  }
}
