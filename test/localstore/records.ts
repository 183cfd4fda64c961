/** Records and entries for the local store's tests. */
import { emptyBytes, type Entry, internalKey, type LogRecord } from "../../src/core/log/record.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)

const plain = (index: number, term: number, sub: number, revision: number): LogRecord => ({
  index,
  term,
  sub,
  revision,
  key: emptyBytes,
  created: false,
  deleted: false,
  createRevision: revision,
  prevRevision: 0,
  version: 1,
  lease: 0n,
  dek: 0,
  value: emptyBytes,
  createdAt: { seconds: 1_700_000_000 + index, nanos: index },
  compactedAt: undefined,
  leaderId: "node-1",
  replicatedAt: undefined,
  op: undefined
})

export interface Change {
  readonly key: string
  /** Absent for a tombstone. */
  readonly value?: string
}

/** One entry that changes these keys and takes a revision. */
export const changing = (index: number, term: number, revision: number, changes: ReadonlyArray<Change>): Entry => ({
  index,
  term,
  revision,
  records: changes.map(({ key, value }, sub) => ({
    ...plain(index, term, sub, revision),
    key: bytes(key),
    value: bytes(value ?? ""),
    created: value !== undefined,
    deleted: value === undefined,
    version: value === undefined ? 0 : 1
  }))
})

/** One entry without a key, at the revision before it. */
export const operation = (index: number, term: number, revision: number, op = "noop"): Entry => ({
  index,
  term,
  revision,
  records: [{ ...plain(index, term, 0, revision), op: bytes(op) }]
})

/** How the operations of a state are seen: nobody made them at any time. */
export const stateRecords = (at: {
  readonly index: number
  readonly term: number
  readonly revision: number
  readonly ops: ReadonlyArray<Uint8Array>
}): ReadonlyArray<LogRecord> =>
  at.ops.map((op, sub) => ({
    ...plain(at.index, at.term, sub, at.revision),
    createRevision: 0,
    version: 0,
    createdAt: undefined,
    leaderId: "",
    op
  }))

/** The first entry of an empty store. */
export const first = (term: number): Entry => ({
  index: 1,
  term,
  revision: 1,
  records: [{ ...plain(1, term, 0, 1), key: internalKey, created: true }]
})

/** Entries `from` … `to` of one term, one put each, index = revision. */
export const puts = (from: number, to: number, term = 1, value = "v"): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  for (let i = from; i <= to; i++) entries.push(changing(i, term, i, [{ key: `k${i % 5}`, value: `${value}${i}` }]))
  return entries
}

/** Every field away from its default, at the edges of its range. */
export const unusual: LogRecord = {
  index: 1,
  term: 2 ** 53 - 1,
  sub: 0,
  revision: 2 ** 53 - 2,
  key: new Uint8Array([0, 255, 128, 0]),
  created: true,
  deleted: true,
  createRevision: 2 ** 32,
  prevRevision: 2 ** 31,
  version: 2 ** 31 - 1,
  lease: -(2n ** 63n),
  dek: 127,
  value: new Uint8Array([0, 1, 2, 255]),
  createdAt: { seconds: -62_135_596_800, nanos: 999_999_999 },
  compactedAt: { seconds: 0, nanos: 0 },
  leaderId: "Knoten-ü-節",
  replicatedAt: { seconds: 2 ** 40, nanos: 1 },
  op: emptyBytes
}

/** Plain values, so that two views of different buffers compare by content. */
export const show = (records: ReadonlyArray<LogRecord | undefined>): unknown =>
  records.map((record) =>
    record === undefined
      ? undefined
      : {
          ...record,
          key: [...record.key],
          value: [...record.value],
          op: record.op === undefined ? undefined : [...record.op]
        }
  )

export const recordsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<LogRecord> =>
  entries.flatMap((entry) => entry.records)
