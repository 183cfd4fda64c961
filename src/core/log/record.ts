/**
 * What the replicated log holds. An entry is one log position; a record is one key's change inside it, or one
 * non-KV operation. Source: design sections 3 and 5; field numbers in proto/netsy/record.proto.
 */

/** A protobuf Timestamp: seconds since 1970, nanoseconds 0 … 999,999,999. */
export interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

/** One `Record` of a data file with `index` and `term` resolved (a file leaves them out where they are implied). */
export interface LogRecord {
  readonly index: number
  readonly term: number
  /** Ordinal inside the entry, 0 for the first. */
  readonly sub: number
  /** For an `op` record: the store's revision after the entry. */
  readonly revision: number
  /** Empty for an `op` record. */
  readonly key: Uint8Array
  readonly created: boolean
  readonly deleted: boolean
  readonly createRevision: number
  /** Revision of the key's previous live version, 0 when there was none. */
  readonly prevRevision: number
  /** 0 for a tombstone. */
  readonly version: number
  readonly lease: bigint
  readonly dek: number
  readonly value: Uint8Array
  readonly createdAt: Timestamp | undefined
  readonly compactedAt: Timestamp | undefined
  /** Node id of the Primary that made it. */
  readonly leaderId: string
  readonly replicatedAt: Timestamp | undefined
  /** Encoded `netsy.Op` (proto/netsy/op.proto); undefined for a key's change. */
  readonly op: Uint8Array | undefined
}

/** One log position. All records share index, term and revision; at least one record. */
export interface Entry {
  readonly index: number
  readonly term: number
  /** The store's revision after this entry. */
  readonly revision: number
  readonly records: ReadonlyArray<LogRecord>
}

/** A position in the log: (index, term) identifies an entry. */
export interface Position {
  readonly index: number
  readonly term: number
}

export const positionZero: Position = { index: 0, term: 0 }

/** Log order (design 6): by the term of the last entry, then by the last index. */
export const isHigher = (a: Position, b: Position): boolean =>
  a.term > b.term || (a.term === b.term && a.index > b.index)

export const emptyBytes: Uint8Array = new Uint8Array(0)

/** The key of the internal first record, `_netsy` (design 5). */
export const internalKey: Uint8Array = new TextEncoder().encode("_netsy")

/** True for the record of the first term's no-op in an empty store: it lies outside MVCC. */
export const isInternal = (record: LogRecord): boolean => {
  if (record.revision !== 1 || record.key.length !== internalKey.length) return false
  for (let i = 0; i < internalKey.length; i++) if (record.key[i] !== internalKey[i]) return false
  return true
}
