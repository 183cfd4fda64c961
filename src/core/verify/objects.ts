/**
 * The data files of a bucket next to each other: what their headers say must fit, and what is off the path is named. That
 * each chunk's `prev_term` is what comes before it is what makes the path.
 */
import type { ChunkFile, SnapshotFile } from "../datafile/summary.ts"
import type { FileHeader } from "../datafile/types.ts"
import { findPath, lastTermOf, type PathFound, termIn } from "../log/history.ts"
import type { LeftOver } from "./findings.ts"

/** One object below `chunks/` or `snapshots/` that was read to its footer. */
export interface DataFile {
  readonly key: string
  readonly size: number
  readonly header: FileHeader
  /** One; several for a chunk of Netsy 1.x with gaps; none for a snapshot. */
  readonly chunks: ReadonlyArray<ChunkFile>
  readonly snapshot: SnapshotFile | undefined
}

/** What a single file's header says that its records do not bear out. */
export const headerProblem = ({ chunks, header, key, snapshot }: DataFile): string | undefined => {
  if (header.term === 0) return undefined
  if (snapshot !== undefined) {
    if (header.lastTerm > header.term)
      return `${key}: a Primary of term ${header.term} wrote a snapshot that ends in term ${header.lastTerm}`
    if (header.compactionRevision !== snapshot.floor)
      return `${key}: the header's compaction revision is ${header.compactionRevision}, the contents' ${snapshot.floor}`
    if (snapshot.floor > snapshot.revision)
      return `${key}: the floor ${snapshot.floor} is above the revision ${snapshot.revision}`
    return undefined
  }
  const [chunk] = chunks
  if (chunk === undefined) return `${key}: no records`
  if (header.firstIndex !== chunk.firstIndex)
    return `${key}: the header's first index is ${header.firstIndex}, that of the records ${chunk.firstIndex}`
  if (header.stored >= chunk.firstIndex)
    return `${key}: stored ${header.stored} is not below its own first index ${chunk.firstIndex}`
  const firstTerm = chunk.runs[0]!.term
  if (header.prevTerm > firstTerm)
    return `${key}: prev_term ${header.prevTerm} is above the term ${firstTerm} of its first entry`
  for (let i = 1; i < chunk.runs.length; i++) {
    const { fromIndex, term } = chunk.runs[i]!
    if (term < chunk.runs[i - 1]!.term)
      return `${key}: term ${term} at index ${fromIndex} follows term ${chunk.runs[i - 1]!.term}`
  }
  if (lastTermOf(chunk) > header.term)
    return `${key}: a Primary of term ${header.term} wrote an entry of term ${lastTermOf(chunk)}`
  return undefined
}

export type Path = PathFound<ChunkFile, SnapshotFile>
type Found = Extract<Path, { readonly kind: "path" }>

export interface Layout {
  readonly path: Path
  /** The first thing that does not fit. */
  readonly problem: string | undefined
  /** Highest term in any header, and where. */
  readonly highest: { readonly term: number; readonly key: string }
  readonly leftOver: ReadonlyArray<LeftOver>
}

/** Term of the entry at `index` of the path; undefined outside of it. */
const termOnPath = ({ slices, snapshot }: Found, index: number): number | undefined => {
  if (snapshot?.lastIndex === index) return snapshot.lastTerm
  const slice = slices.find(({ from, to }) => from <= index && index <= to)
  return slice && termIn(slice.chunk, index)
}

const leftOverReason = (file: DataFile, path: Found, usedKeys: ReadonlySet<string>): string | undefined => {
  const { chunks, key, snapshot } = file
  if (usedKeys.has(key)) return undefined
  const skipped = path.skipped.find((tip) => tip.key === key)
  if (skipped !== undefined) return `a write of term ${skipped.tip.term} that landed without index ${skipped.brokenAt}`
  const start = path.snapshot?.lastIndex ?? 0
  if (snapshot !== undefined) {
    if (snapshot.lastIndex <= start) return "an older snapshot"
    const term = termOnPath(path, snapshot.lastIndex)
    return term === snapshot.lastTerm ? "an older snapshot" : `of a lost reign, term ${snapshot.lastTerm}`
  }
  const last = chunks.at(-1)
  if (last === undefined) return "empty"
  if (last.lastIndex <= start) return "behind the snapshot"
  return termOnPath(path, last.lastIndex) === lastTermOf(last)
    ? "its entries are in other chunks too"
    : `of a lost reign, term ${lastTermOf(last)}`
}

export const layout = (files: ReadonlyArray<DataFile>): Layout => {
  const path = findPath(
    files.flatMap(({ chunks }) => chunks),
    files.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]))
  )
  let highest = { term: 0, key: "" }
  let problem: string | undefined
  for (const file of files) {
    if (file.header.term > highest.term) highest = { term: file.header.term, key: file.key }
    problem ??= headerProblem(file)
  }
  if (path.kind !== "path") return { path, problem, highest, leftOver: [] }
  const used = new Set(path.slices.map(({ chunk }) => chunk.key))
  if (path.snapshot !== undefined) used.add(path.snapshot.key)
  const leftOver = files.flatMap((file) => {
    const reason = leftOverReason(file, path, used)
    return reason === undefined ? [] : [{ key: file.key, reason }]
  })
  return { path, problem, highest, leftOver }
}
