/** Records grouped into the entries they belong to. */
import { assert } from "../assert.ts"
import type { Entry, LogRecord } from "./record.ts"

/** The records of whole entries, in log order; asserts that each entry's records agree and are numbered 0, 1, 2 …. */
export const entriesOf = (records: ReadonlyArray<LogRecord>): Array<Entry> => {
  const entries: Array<Entry> = []
  let start = 0
  while (start < records.length) {
    const first = records[start]!
    assert(first.sub === 0, `entry ${first.index} begins with record ${first.sub}`)
    let end = start + 1
    while (end < records.length && records[end]!.index === first.index) {
      const record = records[end]!
      assert(record.sub === end - start, `entry ${first.index}: record ${record.sub} where ${end - start} was expected`)
      assert(record.term === first.term, `entry ${first.index} has terms ${first.term} and ${record.term}`)
      assert(
        record.revision === first.revision,
        `entry ${first.index} has revisions ${first.revision} and ${record.revision}`
      )
      end++
    }
    entries.push({
      index: first.index,
      term: first.term,
      revision: first.revision,
      records: records.slice(start, end)
    })
    start = end
  }
  return entries
}
