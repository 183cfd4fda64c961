/**
 * The order in which a data file's records must come. Chunks: indexes without a gap, each entry's records numbered
 * 0, 1, 2 …, terms and revisions that fit. Chunks of Netsy 1.x may leave revisions out (netsy-1x.md 7.9). Snapshots: ops,
 * then key versions by (index, sub); ours begin with an op that states floor and revision at their end.
 */
import type { LogRecord } from "../log/record.ts"
import type { Check, FileHeader } from "./types.ts"

export interface Expected {
  readonly snapshot: boolean
  /** Snapshot: the ops are over. */
  inKeys: boolean
}

interface Wrong {
  readonly check: Check
  readonly detail: string
}

const wrong = (detail: string): Wrong => ({ check: "record order", detail })

/** What is wrong with `record` coming after `last`; undefined: nothing. */
export const checkOrder = (
  header: FileHeader,
  expected: Expected,
  last: LogRecord | undefined,
  record: LogRecord
): Wrong | undefined => {
  if (header.term === 0 && (record.term !== 0 || record.sub !== 0 || record.index !== record.revision)) {
    return wrong(`record ${record.revision} has extensions in a file without a term`)
  }
  if (record.term > header.term)
    return wrong(`entry ${record.index} is of term ${record.term}, the file of ${header.term}`)
  return expected.snapshot ? inSnapshot(header, expected, last, record) : inChunk(header, last, record)
}

const inSnapshot = (
  header: FileHeader,
  expected: Expected,
  last: LogRecord | undefined,
  record: LogRecord
): Wrong | undefined => {
  if (header.lastIndex > 0 && record.index > header.lastIndex) {
    return wrong(`index ${record.index} is beyond the snapshot's last, ${header.lastIndex}`)
  }
  if (last === undefined && header.term > 0) {
    // The op that states floor and revision at the snapshot's end.
    const fits = record.op !== undefined && record.index === header.lastIndex && record.term === header.lastTerm
    return fits ? undefined : wrong("the first record does not state the snapshot's end")
  }
  if (record.op !== undefined) {
    return expected.inKeys ? wrong(`the op of index ${record.index} comes after keys`) : undefined
  }
  if (!expected.inKeys || last === undefined) {
    expected.inKeys = true
    return undefined
  }
  if (record.index > last.index || (record.index === last.index && record.sub > last.sub)) return undefined
  return wrong(`(${record.index}, ${record.sub}) comes after (${last.index}, ${last.sub})`)
}

const inChunk = (header: FileHeader, last: LogRecord | undefined, record: LogRecord): Wrong | undefined => {
  const { index, term, sub, revision } = record
  if (last === undefined) {
    if (sub !== 0) return wrong(`the first record is record ${sub} of entry ${index}`)
    if (header.firstIndex !== 0 && header.firstIndex !== index) {
      return { check: "first index", detail: `header says ${header.firstIndex}, the first record has ${index}` }
    }
    return undefined
  }
  if (index === last.index && sub !== 0) {
    if (sub !== last.sub + 1) return wrong(`record ${sub} of entry ${index} comes after record ${last.sub}`)
    if (term !== last.term || revision !== last.revision) return wrong(`the records of entry ${index} disagree`)
    return undefined
  }
  if (sub !== 0) return wrong(`entry ${index} begins with record ${sub}`)
  if (header.term === 0) {
    return index > last.index ? undefined : wrong(`revision ${index} comes after ${last.index}`)
  }
  if (index !== last.index + 1) return wrong(`index ${index} comes after ${last.index}`)
  if (term < last.term) return wrong(`entry ${index} has term ${term}, the one before has ${last.term}`)
  // Only an entry that changes keys takes a revision; the revoke of a lease with keys does, too.
  const step = revision - last.revision
  if (step === 1 || (step === 0 && record.op !== undefined)) return undefined
  return wrong(`entry ${index} has revision ${revision}, the one before has ${last.revision}`)
}
