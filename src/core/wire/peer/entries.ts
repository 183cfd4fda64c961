/**
 * Entries of the log between nodes: the fields 6 and 7 of `Append` (proto/netsy/cluster.proto), each record as data
 * files hold it, with its CRC. Encoded once for a batch and put into the messages to every follower. Hot.
 */
import { assert } from "../../assert.ts"
import { DataFileDamaged } from "../../datafile/types.ts"
import { recordOverheadBytes, RecordReader, writeRecord } from "../../datafile/record.ts"
import { emptyBytes, type Entry, type LogRecord } from "../../log/record.ts"
import { type Reader, Writer } from "../protobuf.ts"

export const impliedTermField = 6
export const recordField = 7
const recordTag = recordField * 8 + 2

/** Nothing for no entries. */
export const encodeEntries = (entries: ReadonlyArray<Entry>): Uint8Array => {
  if (entries.length === 0) return emptyBytes
  const term = entries[0]!.term
  let size = 16
  for (const entry of entries) {
    for (const record of entry.records) {
      size += recordOverheadBytes + record.key.length + record.value.length + (record.op?.length ?? 0)
    }
  }
  const writer = new Writer(size)
  writer.int64Field(impliedTermField, term)
  for (const entry of entries) {
    assert(entry.records.length > 0, `entry ${entry.index} has no record`)
    for (const record of entry.records) {
      writer.byte(recordTag)
      writeRecord(writer, record, term)
    }
  }
  return writer.view()
}

const place = { source: "Append", offset: 0, decompressed: false }

/** Takes the records of one message, in the order of the wire; their bytes are views into its buffer. */
export class EntriesReader {
  #records: RecordReader | undefined
  #term = 0
  readonly #entries: Array<Entry> = []
  #current: Array<LogRecord> = []

  impliedTerm(reader: Reader): void {
    if (this.#records !== undefined) reader.fail("the records' term stands behind a record")
    this.#term = reader.varint()
  }

  record(reader: Reader): void {
    const size = reader.size()
    const start = reader.position
    reader.position = start + size
    this.#records ??= new RecordReader(reader.buffer, this.#term)
    let record: LogRecord
    try {
      record = this.#records.read(start, start + size, place)
    } catch (error) {
      if (error instanceof DataFileDamaged) reader.fail(error.message, start)
      throw error
    }
    const before = this.#current.at(-1)
    if (before !== undefined && before.index === record.index) {
      if (record.sub !== before.sub + 1 || record.term !== before.term || record.revision !== before.revision) {
        reader.fail(`entry ${record.index}: a record does not go with the one before`, start)
      }
    } else {
      if (before !== undefined && record.index !== before.index + 1) {
        reader.fail(`entry ${record.index} follows entry ${before.index}`, start)
      }
      if (record.sub !== 0) reader.fail(`entry ${record.index} begins with record ${record.sub}`, start)
      this.#close()
    }
    this.#current.push(record)
  }

  finish(): ReadonlyArray<Entry> {
    this.#close()
    return this.#entries
  }

  #close(): void {
    const first = this.#current[0]
    if (first === undefined) return
    this.#entries.push({ index: first.index, term: first.term, revision: first.revision, records: this.#current })
    this.#current = []
  }
}
