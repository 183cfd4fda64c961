/**
 * One version of one key, and the chain of a key's versions. Versions are immutable: when a value leaves memory the
 * chain gets a version without it, so what a reader holds stays as it was.
 */
import type { LogRecord } from "../log/record.ts"
import { keyBytes } from "./keys.ts"

export interface Version {
  /** Fresh bytes at every access: the index keeps keys as strings only. */
  readonly key: Uint8Array
  /** The key as a latin1 string. */
  readonly keyString: string
  readonly modRevision: number
  /** Ordinal inside the revision. */
  readonly sub: number
  /** Of a tombstone: that of the deleted incarnation, never shown to clients (rule D2). */
  readonly createRevision: number
  /** 0 for a tombstone. */
  readonly version: number
  readonly lease: bigint
  readonly deleted: boolean
  /** Undefined: cold, to be read from LocalStore by (key, modRevision). A tombstone's is empty. */
  readonly value: Uint8Array | undefined
}

const noLease = 0n

/** All versions of one key, oldest first, split so that a key with one version needs no array. */
export class Chain {
  readonly key: string
  newest: StoredVersion | undefined = undefined
  /** Everything older than `newest`, ascending; undefined when there is nothing. */
  older: Array<StoredVersion> | undefined = undefined
  /** Whether the committed view shows the key. */
  live = false

  constructor(key: string) {
    this.key = key
  }

  /** Adds a version newer than all others and returns the one it supersedes. */
  push(version: StoredVersion): StoredVersion | undefined {
    const superseded = this.newest
    if (superseded !== undefined) {
      if (this.older === undefined) this.older = [superseded]
      else this.older.push(superseded)
    }
    this.newest = version
    return superseded
  }

  /** Takes the newest version away. */
  pop(): void {
    this.newest = this.older?.pop()
    if (this.older?.length === 0) this.older = undefined
  }

  /** The version that counts at `revision`, which may be a tombstone. */
  at(revision: number): StoredVersion | undefined {
    const newest = this.newest
    if (newest === undefined || newest.modRevision <= revision) return newest
    const older = this.older
    if (older === undefined) return undefined
    return older[after(older, revision) - 1]
  }

  /** The version that a reader of the key at `revision` sees. */
  liveAt(revision: number): StoredVersion | undefined {
    const version = this.at(revision)
    return version === undefined || version.deleted ? undefined : version
  }

  /** Where a version (or one that took its place) stands in `older`; −1 when it is the newest or gone. */
  indexOf(version: StoredVersion): number {
    const older = this.older
    if (older === undefined) return -1
    let at = after(older, version.modRevision) - 1
    while (at >= 0 && older[at]!.modRevision === version.modRevision && older[at]!.sub !== version.sub) at--
    return at >= 0 && older[at]!.modRevision === version.modRevision ? at : -1
  }

  /**
   * Rule C2: drops what no reader at or above `floor` can see, a tombstone at `floor` excepted. Returns how many
   * versions that were; afterwards `newest` is undefined when nothing is left.
   */
  trim(floor: number): number {
    const newest = this.newest
    if (newest === undefined) return 0
    const older = this.older
    let dropped = 0
    if (older !== undefined) {
      if (newest.modRevision <= floor) {
        dropped = older.length
      } else {
        dropped = Math.max(0, after(older, floor) - 1)
        const first = older[dropped]!
        if (first.deleted && first.modRevision < floor) dropped++
      }
      if (dropped === older.length) this.older = undefined
      else if (dropped > 0) this.older = older.slice(dropped)
    }
    if (this.older === undefined && newest.deleted && newest.modRevision < floor) {
      this.newest = undefined
      dropped++
    }
    return dropped
  }
}

/** Index of the first version above `revision`. */
const after = (versions: ReadonlyArray<StoredVersion>, revision: number): number => {
  let low = 0
  let high = versions.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (versions[middle]!.modRevision <= revision) low = middle + 1
    else high = middle
  }
  return low
}

export class StoredVersion implements Version {
  readonly chain: Chain
  readonly modRevision: number
  readonly sub: number
  readonly createRevision: number
  readonly version: number
  readonly lease: bigint
  readonly deleted: boolean
  readonly value: Uint8Array | undefined

  constructor(
    chain: Chain,
    modRevision: number,
    sub: number,
    createRevision: number,
    version: number,
    lease: bigint,
    deleted: boolean,
    value: Uint8Array | undefined
  ) {
    this.chain = chain
    this.modRevision = modRevision
    this.sub = sub
    this.createRevision = createRevision
    this.version = version
    this.lease = lease === noLease ? noLease : lease
    this.deleted = deleted
    this.value = value
  }

  get key(): Uint8Array {
    return keyBytes(this.chain.key)
  }

  get keyString(): string {
    return this.chain.key
  }

  withValue(value: Uint8Array | undefined): StoredVersion {
    return new StoredVersion(
      this.chain,
      this.modRevision,
      this.sub,
      this.createRevision,
      this.version,
      this.lease,
      this.deleted,
      value
    )
  }
}

export const storedVersion = (chain: Chain, record: LogRecord, value: Uint8Array): StoredVersion =>
  new StoredVersion(
    chain,
    record.revision,
    record.sub,
    record.createRevision,
    record.deleted ? 0 : record.version,
    record.deleted ? noLease : record.lease,
    record.deleted,
    value
  )
