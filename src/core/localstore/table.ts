/**
 * The records of one node in plain memory, with the rules of the local store: the contents of a `MemoryDisk`. Records are
 * never changed, so arrays may share them.
 */
import { assert } from "../assert.ts"
import type { Entry, LogRecord } from "../log/record.ts"
import { isInternal } from "../log/record.ts"
import { toEntries } from "./frame.ts"
import {
  appended,
  assertAppendable,
  assertCompactable,
  assertFollows,
  assertRestorable,
  assertTruncatable,
  compacted,
  type End,
  isOutside,
  isReplaced,
  type LogState,
  restored,
  truncated,
  zeroLog
} from "./logState.ts"
import {
  assertStateFits,
  forgettable,
  type OpsRemoval,
  removableOps,
  type StateAt,
  stateRecord,
  stateStored
} from "./state.ts"
import type { Wanted } from "./wanted.ts"

export class Table {
  log: LogState = zeroLog
  /** In (index, sub) order. Replaced, never changed in place, except by appending: a view takes a prefix. */
  records: Array<LogRecord> = []
  /** In the place of the operations up to its index. */
  private state: StateAt | undefined = undefined
  /** Key changes in (revision, sub) order. */
  private history: Array<LogRecord> = []

  clone(): Table {
    const copy = new Table()
    copy.log = this.log
    copy.records = this.records.slice()
    copy.state = this.state
    copy.history = this.history.slice()
    return copy
  }

  append(entries: ReadonlyArray<Entry>, commitIndex: number): void {
    assertAppendable(this.log)
    const { lastIndex, lastRevision, lastTerm } = this.log
    let last: End = { index: lastIndex, term: lastTerm, revision: lastRevision }
    for (const entry of entries) {
      assertFollows(last, entry.index, entry.term, entry.revision)
      assert(entry.records.length > 0, "an entry has at least one record")
      entry.records.forEach((record, sub) => {
        assert(
          record.index === entry.index && record.term === entry.term && record.revision === entry.revision,
          "a record carries its entry's index, term and revision"
        )
        assert(record.sub === sub, "the records of an entry are numbered from 0")
      })
      last = entry
    }
    for (const entry of entries) {
      for (const record of entry.records) {
        this.records.push(record)
        if (isHistory(record)) this.history.push(record)
      }
    }
    this.log = appended(this.log, last, commitIndex)
  }

  truncateFrom(index: number): void {
    assertTruncatable(this.log, index)
    if (index > this.log.lastIndex) return
    const kept = this.records.filter((record) => record.index < index)
    const { baseIndex, baseRevision, baseTerm } = this.log
    const top = kept[kept.length - 1]
    const base = { index: baseIndex, term: baseTerm, revision: baseRevision }
    this.log = truncated(this.log, top !== undefined && top.index > baseIndex ? top : base)
    this.keep(kept)
  }

  clear(): void {
    this.log = zeroLog
    this.state = undefined
    this.keep([])
  }

  restore(records: ReadonlyArray<LogRecord>, end: End | undefined, floor: number): void {
    assertRestorable(this.log)
    const all = [...this.records, ...records]
    all.sort((a, b) => a.index - b.index || a.sub - b.sub)
    if (end !== undefined) {
      const stored = all[all.length - 1]?.index ?? 0
      assert(stored <= end.index, `a snapshot that ends at ${end.index} has a record at ${stored}`)
    }
    if (end === undefined) {
      this.log = { ...zeroLog, restoring: true }
      return this.keep(all)
    }
    this.log = restored(end, floor)
    const ops = all.flatMap((record) => (record.op === undefined ? [] : [record.op]))
    this.state = ops.length === 0 ? undefined : { ...end, ops }
    this.keep(all.filter((record) => record.op === undefined))
  }

  /** Rule C2 for every key at once, and the operations that the state stands for. */
  compact(revision: number, state: StateAt | undefined, ops: OpsRemoval): number {
    if (isReplaced(this.log) || (state !== undefined && isOutside(this.log, state.index))) return 0
    assertCompactable(this.log, revision)
    if (state !== undefined) {
      assertStateFits(state, this.entryEnd(state.index), this.state)
      this.state = state
      this.log = stateStored(this.log, state.index)
    }
    const floor = Math.max(this.log.floor, revision)
    const firstAbove = this.history.find((record) => record.revision > floor)?.index
    const forgotten = forgettable(this.log, ops)
    const opsUpTo = removableOps(this.log, this.state, firstAbove, ops)
    const stays = this.staying(floor)
    let removed: LogRecord | undefined
    const kept = this.records.filter((record) => {
      if (record.op !== undefined) {
        const goes = record.index <= opsUpTo && (record.index <= forgotten || record.revision <= floor)
        if (goes) removed = record
        return !goes
      }
      if (stays(record)) return true
      removed = record
      return false
    })
    const count = this.records.length - kept.length
    this.log = compacted({ ...this.log, floor }, removed, floor)
    this.keep(kept)
    return count
  }

  entries(fromIndex: number, maxEntries: number, maxBytes: number): ReadonlyArray<Entry> {
    if (this.log.restoring || fromIndex <= this.log.baseIndex) return []
    const page: Array<LogRecord> = []
    let entries = 0
    let bytes = 0
    for (let i = this.lowerBound(fromIndex); i < this.records.length; i++) {
      const record = this.records[i]!
      if (record.sub === 0) {
        if (entries > 0 && (entries >= maxEntries || bytes >= maxBytes)) break
        entries++
      }
      page.push(record)
      bytes += recordBytes(record)
    }
    return toEntries(page)
  }

  termAt(index: number): number | undefined {
    if (this.log.restoring || index < this.log.baseIndex) return undefined
    if (index === this.log.baseIndex) return this.log.baseTerm
    const record = this.records[this.lowerBound(index)]
    return record?.index === index ? record.term : undefined
  }

  changes(fromRevision: number, toRevision: number, maxBytes: number): ReadonlyArray<LogRecord> {
    const page: Array<LogRecord> = []
    let bytes = 0
    for (let i = this.revisionBound(fromRevision); i < this.history.length; i++) {
      const record = this.history[i]!
      if (record.revision > toRevision) break
      if (page.length > 0 && record.revision !== page[page.length - 1]!.revision && bytes >= maxBytes) break
      page.push(record)
      bytes += recordBytes(record)
    }
    return page
  }

  version({ key, revision }: Wanted): LogRecord | undefined {
    const name = keyOf(key)
    let found: LogRecord | undefined
    for (let i = this.revisionBound(revision); i < this.history.length; i++) {
      const record = this.history[i]!
      if (record.revision !== revision) break
      if (keyOf(record.key) === name) found = record
    }
    return found
  }

  /** Rule C2: whether a compaction to the floor leaves a key change. */
  private staying(floor: number): (record: LogRecord) => boolean {
    const newest = new Map<string, LogRecord>()
    for (const record of this.history) if (record.revision <= floor) newest.set(keyOf(record.key), record)
    return (record) =>
      !isHistory(record) ||
      record.revision > floor ||
      (newest.get(keyOf(record.key)) === record && (!record.deleted || record.revision === floor))
  }

  /** The state's operations first, then everything that it does not stand for and that the floor allows. */
  view(upToIndex: number, floor: number): ReadonlyArray<LogRecord> {
    const { state } = this
    const upTo = this.records.slice(0, this.lowerBound(upToIndex + 1))
    const rows = floor > 0 ? upTo.filter(this.staying(floor)) : upTo
    if (state === undefined) return rows
    const ops = state.index > upToIndex ? [] : state.ops.map((op, sub) => stateRecord(state, op, sub))
    return [...ops, ...rows.filter((record) => record.op === undefined || record.index > state.index)]
  }

  bytes(): number {
    let total = 0
    for (const record of this.records) total += recordBytes(record)
    for (const op of this.state?.ops ?? []) total += 64 + op.length
    return total
  }

  private entryEnd(index: number): End | undefined {
    const { baseIndex, baseRevision, baseTerm } = this.log
    if (index === baseIndex) return { index, term: baseTerm, revision: baseRevision }
    const record = index < baseIndex ? undefined : this.records[this.lowerBound(index)]
    return record?.index === index ? record : undefined
  }

  private keep(records: Array<LogRecord>): void {
    this.records = records
    this.history = records.filter(isHistory)
    this.history.sort((a, b) => a.revision - b.revision || a.sub - b.sub)
  }

  private lowerBound(index: number): number {
    return firstAt(this.records, (record) => record.index >= index)
  }

  private revisionBound(revision: number): number {
    return firstAt(this.history, (record) => record.revision >= revision)
  }
}

/** Not an op, and not the internal first record. */
const isHistory = (record: LogRecord): boolean => record.op === undefined && !isInternal(record)

const keyOf = (key: Uint8Array): string => {
  let text = ""
  for (const byte of key) text += String.fromCharCode(byte)
  return text
}

const recordBytes = (record: LogRecord): number =>
  64 + record.key.length + record.value.length + (record.op?.length ?? 0)

const firstAt = (records: ReadonlyArray<LogRecord>, reached: (record: LogRecord) => boolean): number => {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (reached(records[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}
