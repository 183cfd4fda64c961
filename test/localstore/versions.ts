/** A history with versions to compact and operations to replace, the same whoever makes it. */
import { Effect } from "effect"
import type { LocalStore } from "../../src/services/LocalStore.ts"
import { bytes, changing, operation } from "./records.ts"

/** Versions of ten keys, every fourth entry an operation; index = revision + operations so far. */
export const entryAt = (index: number, size: number) => {
  const revision = index - Math.floor(index / 4)
  return index % 4 === 0
    ? operation(index, 1, revision, `op ${index}`)
    : changing(index, 1, revision, [{ key: `k${index % 10}`, value: `${index} `.padEnd(size, "x") }])
}

export const fill = Effect.fnUntraced(function* (store: LocalStore["Service"], from: number, to: number, size: number) {
  for (let at = from; at <= to; at += 100) {
    const entries = Array.from({ length: Math.min(100, to - at + 1) }, (_, i) => entryAt(at + i, size))
    yield* store.append(entries, at + entries.length - 1)
  }
})

export const stateAt = (index: number, count: number) => ({
  index,
  term: 1,
  revision: entryAt(index, 1).revision,
  ops: Array.from({ length: count }, (_, i) => bytes(`state ${i} at ${index}`))
})

/** What a compaction to the revision of entry `index` leaves, when a state stands there too. */
export const kept = (index: number, to: number): ReadonlyArray<string> => {
  const newest = new Map<string, string>()
  for (let at = 1; at <= index; at++) if (at % 4 !== 0) newest.set(`k${at % 10}`, `${at}`)
  const above = Array.from({ length: to - index }, (_, i) => `${index + 1 + i}`)
  return [...[...newest.values()].sort((a, b) => Number(a) - Number(b)), ...above]
}
