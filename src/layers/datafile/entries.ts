/** Records regrouped as their readers want them: whole entries of a part of a chunk, pages of a snapshot. */
import { Effect, Stream } from "effect"
import { entriesOf } from "../../core/log/entries.ts"
import type { Entry, LogRecord } from "../../core/log/record.ts"

const pageRecords = 1024
const pageBytes = 1024 * 1024

/** The entries `from` … `to` in batches; an entry whose records come in two pieces is held back until it is whole. */
export const entriesOfSlice = <E, R>(
  records: Stream.Stream<ReadonlyArray<LogRecord>, E, R>,
  from: number,
  to: number
): Stream.Stream<ReadonlyArray<Entry>, E, R> =>
  Stream.suspend(() => {
    let open: Array<LogRecord> = []
    const take = (piece: ReadonlyArray<LogRecord>): Array<Entry> => {
      for (const record of piece) if (record.index >= from && record.index <= to) open.push(record)
      let whole = open.length
      while (whole > 0 && open[whole - 1]!.index === open[open.length - 1]!.index) whole--
      const entries = entriesOf(open.slice(0, whole))
      open = open.slice(whole)
      return entries
    }
    return records.pipe(
      Stream.map(take),
      Stream.concat(Stream.fromEffect(Effect.sync(() => entriesOf(open)))),
      Stream.filter((entries) => entries.length > 0)
    )
  })

/**
 * Pages of about a thousand records or 1 MiB, without the first `skip` records. The last page comes only when the source
 * has ended, thus after its last check.
 */
export const pagesOf = <E, R>(
  records: Stream.Stream<ReadonlyArray<LogRecord>, E, R>,
  skip: number
): Stream.Stream<ReadonlyArray<LogRecord>, E, R> =>
  Stream.suspend(() => {
    let left = skip
    let page: Array<LogRecord> = []
    let bytes = 0
    const take = (piece: ReadonlyArray<LogRecord>): Array<ReadonlyArray<LogRecord>> => {
      const full: Array<ReadonlyArray<LogRecord>> = []
      for (const record of piece) {
        if (left > 0) {
          left--
          continue
        }
        if (page.length >= pageRecords || bytes >= pageBytes) {
          full.push(page)
          page = []
          bytes = 0
        }
        page.push(record)
        bytes += record.key.length + record.value.length
      }
      return full
    }
    return records.pipe(
      Stream.map(take),
      Stream.flatMap((pages) => Stream.fromIterable(pages)),
      Stream.concat(Stream.fromEffect(Effect.sync((): ReadonlyArray<LogRecord> => page))),
      Stream.filter((last) => last.length > 0)
    )
  })
