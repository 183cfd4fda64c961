/** Records, entries and randomness for the tests of data files. */
import { BodyReader, type FileEnd, HeaderReader } from "../../src/core/datafile/reader.ts"
import { DataFileDamaged, type FileHeader } from "../../src/core/datafile/types.ts"
import type { ChunkFacts } from "../../src/core/datafile/writer.ts"
import { encodeOp, type Op } from "../../src/core/log/op.ts"
import type { Entry, LogRecord } from "../../src/core/log/record.ts"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"))

/** Numbers 0 ≤ x < below, the same for the same seed (mulberry32). */
export const seeded = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

export const record = (over: Partial<LogRecord> & { readonly revision: number }): LogRecord => ({
  index: over.revision,
  term: 1,
  sub: 0,
  key: utf8(`key-${over.revision}`),
  created: true,
  deleted: false,
  createRevision: over.revision,
  prevRevision: 0,
  version: 1,
  lease: 0n,
  dek: 0,
  value: utf8(`value-${over.revision}`),
  createdAt: { seconds: 1700000000 + over.revision, nanos: 0 },
  compactedAt: undefined,
  leaderId: "node-1",
  replicatedAt: undefined,
  op: undefined,
  ...over
})

export const opRecord = (op: Op, over: Partial<LogRecord> & { readonly revision: number }): LogRecord =>
  record({
    key: new Uint8Array(0),
    value: new Uint8Array(0),
    created: false,
    createRevision: 0,
    version: 0,
    op: encodeOp(op),
    ...over
  })

export const entry = (...records: ReadonlyArray<LogRecord>): Entry => ({
  index: records[0]!.index,
  term: records[0]!.term,
  revision: records[0]!.revision,
  records
})

export const facts: ChunkFacts = {
  leaderId: "node-1",
  createdAt: { seconds: 1700000001, nanos: 0 },
  term: 1,
  prevTerm: 0,
  stored: 0,
  compactionRevision: 0
}

/** Contiguous entries: puts, transactions of several keys, deletes, no-ops and term changes. */
export const randomEntries = (
  random: (below: number) => number,
  count: number,
  maxValueBytes: number
): Array<Entry> => {
  const entries: Array<Entry> = []
  let revision = 1
  let term = 1 + random(3)
  let index = 1 + random(5)
  for (let i = 0; i < count; i++, index++) {
    if (random(6) === 0) term += 1 + random(2)
    if (random(5) === 0) {
      entries.push(entry(opRecord({ kind: "noOp" }, { revision, index, term })))
      continue
    }
    revision++
    const records: Array<LogRecord> = []
    const size = random(3) === 0 ? 1 + random(4) : 1
    for (let sub = 0; sub < size; sub++) {
      const deleted = random(5) === 0
      records.push(
        record({
          index,
          term,
          sub,
          revision,
          key: Uint8Array.from({ length: 1 + random(20) }, () => random(256)),
          value: deleted ? new Uint8Array(0) : Uint8Array.from({ length: random(maxValueBytes) }, () => random(256)),
          deleted,
          created: !deleted && random(2) === 0,
          version: deleted ? 0 : 1 + random(300),
          prevRevision: random(revision),
          createRevision: random(revision),
          lease: random(3) === 0 ? BigInt(random(1 << 30)) * 8589934591n : 0n,
          createdAt: random(8) === 0 ? undefined : { seconds: 1700000000 + random(1000), nanos: random(1000000000) },
          compactedAt: random(8) === 0 ? { seconds: 1700000000, nanos: 0 } : undefined,
          replicatedAt: random(8) === 0 ? { seconds: 1700000000, nanos: 1 } : undefined,
          leaderId: random(2) === 0 ? "node-1" : "node-2"
        })
      )
    }
    entries.push(entry(...records))
  }
  return entries
}

export interface FileRead {
  readonly header: FileHeader
  readonly records: ReadonlyArray<LogRecord>
  readonly end: FileEnd
}

/** Reads an uncompressed file in pieces of the given size. */
export const readPlain = (bytes: Uint8Array, pieceBytes = bytes.length): FileRead => {
  const headerReader = new HeaderReader("file")
  let at = 0
  while (headerReader.header === undefined) {
    if (at >= bytes.length) throw headerReader.truncated()
    headerReader.push(bytes.subarray(at, at + pieceBytes))
    at += pieceBytes
  }
  const { header } = headerReader
  const body = new BodyReader("file", header, headerReader.bodyOffset)
  const records = body.push(headerReader.rest())
  for (; at < bytes.length; at += pieceBytes) records.push(...body.push(bytes.subarray(at, at + pieceBytes)))
  return { header, records, end: body.finish() }
}

/** The damage that reading finds; undefined: none. */
export const damageOf = (bytes: Uint8Array): DataFileDamaged | undefined => {
  try {
    readPlain(bytes)
    return undefined
  } catch (error) {
    if (error instanceof DataFileDamaged) return error
    throw error
  }
}

/** Where each delimited message of an uncompressed file starts and ends. */
export const messagesOf = (bytes: Uint8Array): Array<{ readonly start: number; readonly end: number }> => {
  const messages: Array<{ start: number; end: number }> = []
  let at = 0
  while (at < bytes.length) {
    let size = 0
    let factor = 1
    let position = at
    for (;;) {
      const byte = bytes[position++]!
      size += (byte & 0x7f) * factor
      factor *= 128
      if (byte < 0x80) break
    }
    messages.push({ start: at, end: position + size })
    at = position + size
  }
  return messages
}

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))
