/** What a `.netsy` file consists of, and the error that says what is wrong with one. Source: netsy-1x.md section 3, design 5. */
import type { Timestamp } from "../log/record.ts"

export const FileKind = { Unknown: 0, Snapshot: 1, Chunk: 2 } as const
export const FileCompression = { Unknown: 0, None: 1, Zstd: 2 } as const

/** Fields that a file of Netsy 1.x lacks are 0. Field numbers: proto/netsy/file.proto. */
export interface FileHeader {
  readonly schemaVersion: number
  readonly kind: number
  readonly compression: number
  readonly recordsCount: number
  readonly leaderId: string
  readonly createdAt: Timestamp | undefined
  /** Term of the Primary that wrote the file; 0: written by Netsy 1.x. */
  readonly term: number
  /** Chunks: index of the first entry. */
  readonly firstIndex: number
  readonly compactionRevision: number
  /** Chunks: term of the entry before `firstIndex`; 0 when there is none. */
  readonly prevTerm: number
  /** Chunks: every index ≤ this was known to be in the bucket when this file was first sent. */
  readonly stored: number
  /** Snapshots: the last entry that the state contains. */
  readonly lastIndex: number
  readonly lastTerm: number
}

export interface FileFooter {
  /** The all-records CRC as unsigned 32-bit halves. */
  readonly recordsCrcHigh: number
  readonly recordsCrcLow: number
  readonly firstRevision: number
  readonly lastRevision: number
}

/**
 * A longer message is taken for damage. Netsy's own reader stops at 4 MiB, which no record of a request within the
 * default limit of 1.5 MiB reaches; the limit can be raised, hence the room.
 */
export const maxMessageBytes = 64 * 1024 * 1024

/** Above this sum of key and value bytes a chunk of several records is compressed (netsy-1x.md 3.3). */
export const compressAboveBytes = 4096

export type Check =
  | "truncated"
  | "message size"
  | "header encoding"
  | "header crc"
  | "file kind"
  | "compression"
  | "zstd"
  | "record encoding"
  | "record crc"
  | "record value"
  | "record order"
  | "record count"
  | "footer encoding"
  | "footer crc"
  | "records crc"
  | "first revision"
  | "last revision"
  | "first index"
  | "last index"

/** A data file is damaged, or is not one. Never handled by skipping: the file's contents cannot be trusted. */
export class DataFileDamaged extends Error {
  readonly _tag = "DataFileDamaged"
  override readonly name = "DataFileDamaged"
  /** Object key or file name. */
  readonly source: string
  readonly check: Check
  /** Of the message that fails: from the start of the file, or of the decompressed body. */
  readonly offset: number
  readonly decompressed: boolean
  readonly detail: string
  constructor(source: string, check: Check, offset: number, decompressed: boolean, detail: string) {
    super(`${source}: ${check} at byte ${offset}${decompressed ? " of the decompressed body" : ""}: ${detail}`)
    this.source = source
    this.check = check
    this.offset = offset
    this.decompressed = decompressed
    this.detail = detail
  }
}
