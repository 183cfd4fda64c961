/** Making and measuring entries. */
import { encodeOp } from "./op.ts"
import { emptyBytes, type Entry, internalKey, type LogRecord, type Timestamp } from "./record.ts"

/** Fixed cost of a record in memory and on the wire, bytes: a generous estimate, used for limits only. */
const recordOverheadBytes = 128

/** Estimated size of an entry in bytes, for batch and back-pressure limits. */
export const entryBytes = (entry: Entry): number => {
  let bytes = 0
  for (const record of entry.records) {
    bytes += recordOverheadBytes + record.key.length + record.value.length + (record.op?.length ?? 0)
  }
  return bytes
}

export interface EntryFacts {
  readonly index: number
  readonly term: number
  /** The store's revision after the entry. */
  readonly revision: number
  readonly leaderId: string
  readonly createdAt: Timestamp | undefined
}

/** A record that is an operation and no key's change. */
export const opRecord = (facts: EntryFacts, op: Uint8Array, sub = 0): LogRecord => ({
  index: facts.index,
  term: facts.term,
  sub,
  revision: facts.revision,
  key: emptyBytes,
  created: false,
  deleted: false,
  createRevision: 0,
  prevRevision: 0,
  version: 0,
  lease: 0n,
  dek: 0,
  value: emptyBytes,
  createdAt: facts.createdAt,
  compactedAt: undefined,
  leaderId: facts.leaderId,
  replicatedAt: undefined,
  op
})

export const opEntry = (facts: EntryFacts, op: Uint8Array): Entry => ({
  index: facts.index,
  term: facts.term,
  revision: facts.revision,
  records: [opRecord(facts, op)]
})

const noop = encodeOp({ kind: "noOp" })

/** A term's no-op: commits what came before it. */
export const noopEntry = (facts: EntryFacts): Entry => opEntry(facts, noop)

/** The first entry of an empty store: the internal record `_netsy` at revision 1 is the first term's no-op (design 5). */
export const firstEntry = (facts: Omit<EntryFacts, "index" | "revision">): Entry => ({
  index: 1,
  term: facts.term,
  revision: 1,
  records: [
    {
      ...opRecord({ ...facts, index: 1, revision: 1 }, emptyBytes),
      key: internalKey,
      created: true,
      createRevision: 1,
      version: 1,
      op: undefined
    }
  ]
})
