/** A key with its value as a program sees it: as text where it is text, as bytes always. */
import type { KeyValue } from "../wire/messages.ts"
import { toText } from "./text.ts"

/** A key, its value and their revisions, as one answer or event had them. It never changes. */
export class Entry {
  readonly keyBytes: Uint8Array
  readonly valueBytes: Uint8Array
  /** Revision at which the key came into being. */
  readonly createRevision: number
  /** Revision of this value. */
  readonly modRevision: number
  /** How often the key was written since then: 1 for a new one. */
  readonly version: number
  /** The lease that the key ends with; 0n: none. */
  readonly lease: bigint
  #key: string | undefined
  #value: string | undefined

  constructor(kv: KeyValue) {
    this.keyBytes = kv.key
    this.valueBytes = kv.value
    this.createRevision = kv.createRevision
    this.modRevision = kv.modRevision
    this.version = kv.version
    this.lease = kv.lease
  }

  /** The key as UTF-8. */
  get key(): string {
    return (this.#key ??= toText(this.keyBytes))
  }

  /** The value as UTF-8. */
  get value(): string {
    return (this.#value ??= toText(this.valueBytes))
  }

  /** As `JSON.stringify` shows it: texts, and the lease in decimal digits. */
  toJSON(): unknown {
    const { createRevision, key, lease, modRevision, value, version } = this
    return { key, value, createRevision, modRevision, version, lease: lease.toString() }
  }
}

export const entryOf = (kv: KeyValue | undefined): Entry | undefined => (kv === undefined ? undefined : new Entry(kv))
