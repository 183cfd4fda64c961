/**
 * Reads a data file that arrives in pieces, with memory bounded by one message and one piece, and checks everything:
 * netsy-1x.md 3.4, canonical encoding, and the order of records. The caller decompresses between header and body.
 * What was read is to be trusted only once `finish` has returned.
 */
import type { LogRecord } from "../log/record.ts"
import { Crc64 } from "./crc64.ts"
import { append } from "./crc64Join.ts"
import { Frames } from "./frames.ts"
import { damaged, hex64, type Place, readFooter, readHeader } from "./header.ts"
import { checkOrder, type Expected } from "./order.ts"
import { RecordReader } from "./record.ts"
import {
  DataFileDamaged,
  FileCompression,
  type FileFooter,
  type FileHeader,
  FileKind,
  maxMessageBytes
} from "./types.ts"

export interface ReadOptions {
  /** A `FileKind` that is required. */
  readonly kind?: number
  readonly maxMessageBytes?: number
}

/** Reads the header, which is never compressed. */
export class HeaderReader {
  header: FileHeader | undefined
  private readonly frames: Frames
  private readonly options: ReadOptions

  constructor(source: string, options: ReadOptions = {}) {
    this.options = options
    this.frames = new Frames(source, 0, false, options.maxMessageBytes ?? maxMessageBytes)
  }

  /** True once the header is known. */
  push(piece: Uint8Array): boolean {
    const { frames } = this
    frames.push(piece)
    if (this.header !== undefined) return true
    const message = frames.next()
    if (message === undefined) return false
    const place = frames.place()
    const header = readHeader(frames.bytes, message.start, message.end, place)
    const wanted = this.options.kind
    if (wanted !== undefined && header.kind !== wanted) {
      throw damaged(place, "file kind", `kind is ${header.kind}, expected ${wanted}`)
    }
    if (header.kind !== FileKind.Snapshot && header.kind !== FileKind.Chunk) {
      throw damaged(place, "file kind", `kind ${header.kind} is not known`)
    }
    if (header.compression !== FileCompression.None && header.compression !== FileCompression.Zstd) {
      throw damaged(place, "compression", `compression ${header.compression} is not known`)
    }
    frames.advance(message.end)
    this.header = header
    return true
  }

  /** Bytes of the file that the header takes. */
  get bodyOffset(): number {
    return this.frames.offset
  }

  /** What has been pushed and lies behind the header. */
  rest(): Uint8Array {
    return this.frames.rest()
  }

  /** To be called when the file ends before the header does. */
  truncated(): DataFileDamaged {
    return damaged(
      this.frames.place(),
      "truncated",
      `the file ends inside the header, after ${this.frames.unread} bytes`
    )
  }
}

/** What is known of a file that has been read to its end. */
export interface FileEnd {
  readonly footer: FileFooter
  readonly recordsCount: number
  readonly first: LogRecord | undefined
  readonly last: LogRecord | undefined
  /** Bytes behind the footer, or behind the last zstd frame; ignored, as in Netsy's reader. */
  readonly trailingBytes: number
}

/** Reads records and footer. */
export class BodyReader {
  private readonly header: FileHeader
  private readonly frames: Frames
  private readonly running = new Crc64()
  private readonly expected: Expected
  private records: RecordReader | undefined
  private recordsBuffer: Uint8Array | undefined
  private count = 0
  private first: LogRecord | undefined
  private last: LogRecord | undefined
  private footer: FileFooter | undefined

  /** `offset`: of the body's first byte, 0 when decompressed. */
  constructor(source: string, header: FileHeader, offset: number, options: ReadOptions = {}) {
    this.header = header
    this.expected = { snapshot: header.kind === FileKind.Snapshot, inKeys: false }
    const decompressed = header.compression === FileCompression.Zstd
    this.frames = new Frames(
      source,
      decompressed ? 0 : offset,
      decompressed,
      options.maxMessageBytes ?? maxMessageBytes
    )
  }

  /** The footer has been read and fits: nothing more is needed. */
  get complete(): boolean {
    return this.footer !== undefined
  }

  /** Takes a piece, returns the records it completes. `piece` must not be changed afterwards. */
  push(piece: Uint8Array): Array<LogRecord> {
    const { frames, header } = this
    frames.push(piece)
    const out: Array<LogRecord> = []
    while (this.footer === undefined) {
      const message = frames.next()
      if (message === undefined) break
      const place = frames.place()
      if (this.count < header.recordsCount) out.push(this.record(message.start, message.end, place))
      else this.footer = this.end(message.start, message.end, place)
      frames.advance(message.end)
    }
    return out
  }

  /** To be called when the source has ended. */
  finish(): FileEnd {
    const { frames } = this
    if (this.footer === undefined) {
      const missing =
        this.count < this.header.recordsCount
          ? `after ${this.count} of ${this.header.recordsCount} records`
          : "before the footer"
      throw damaged(
        frames.place(),
        "truncated",
        `the file ends ${missing}, ${frames.unread} bytes into the next message`
      )
    }
    return {
      footer: this.footer,
      recordsCount: this.count,
      first: this.first,
      last: this.last,
      trailingBytes: frames.unread
    }
  }

  /** Where reading stands, for errors of the decompressor. */
  get offset(): number {
    return this.frames.offset
  }

  private record(start: number, end: number, place: Place): LogRecord {
    const bytes = this.frames.bytes
    if (this.recordsBuffer !== bytes || this.records === undefined) {
      this.records = new RecordReader(bytes, this.header.term)
      this.recordsBuffer = bytes
    }
    let record: LogRecord
    try {
      record = this.records.read(start, end, place)
    } catch (error) {
      if (error instanceof DataFileDamaged && isFooter(bytes, start, end, place)) {
        throw damaged(
          place,
          "record count",
          `the footer follows after ${this.count} of ${this.header.recordsCount} records`
        )
      }
      throw error
    }
    append(this.running, this.records.crc, bytes, this.records.bodyStart, end)
    const wrong = checkOrder(this.header, this.expected, this.last, record)
    if (wrong !== undefined) throw damaged(place, wrong.check, wrong.detail)
    if (this.first === undefined) this.first = record
    this.last = record
    this.count++
    return record
  }

  private end(start: number, end: number, place: Place): FileFooter {
    const bytes = this.frames.bytes
    let footer: FileFooter
    try {
      footer = readFooter(bytes, start, end, place)
    } catch (error) {
      if (error instanceof DataFileDamaged && isRecord(bytes, start, end, place)) {
        throw damaged(place, "record count", `a record follows after all ${this.count} that the header announces`)
      }
      throw error
    }
    const { running } = this
    if (footer.recordsCrcHigh !== running.high || footer.recordsCrcLow !== running.low) {
      const stored = hex64(footer.recordsCrcHigh, footer.recordsCrcLow)
      throw damaged(place, "records crc", `stored ${stored}, computed ${hex64(running.high, running.low)}`)
    }
    const firstRevision = this.first?.revision ?? 0
    const lastRevision = this.last?.revision ?? 0
    if (footer.firstRevision !== firstRevision) {
      throw damaged(
        place,
        "first revision",
        `footer says ${footer.firstRevision}, the first record has ${firstRevision}`
      )
    }
    if (footer.lastRevision !== lastRevision) {
      throw damaged(place, "last revision", `footer says ${footer.lastRevision}, the last record has ${lastRevision}`)
    }
    return footer
  }
}

const isFooter = (bytes: Uint8Array, start: number, end: number, place: Place): boolean => {
  try {
    readFooter(bytes, start, end, place)
    return end > start
  } catch {
    return false
  }
}

const isRecord = (bytes: Uint8Array, start: number, end: number, place: Place): boolean => {
  try {
    new RecordReader(bytes, 0).read(start, end, place)
    return true
  } catch {
    return false
  }
}
