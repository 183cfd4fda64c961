/** The compaction loop that every apiserver runs: the version of one key is the turn, one of them wins it (etcd-api.md 3.3). */
import { emptyBytes } from "../../src/core/log/record.ts"
import { CompareResult, CompareTarget } from "../../src/core/wire/messages.ts"
import { type Connection, rangeOf } from "./connection.ts"
import type { Figures } from "./figures.ts"
import { textOf } from "./history.ts"
import { putOp, rangeOp } from "./storage.ts"

export const compactRevKey = Buffer.from("compact_rev_key")

export interface Round {
  /** The turn that comes next. */
  readonly turn: number
  /** The store's revision now: what the next round compacts to. */
  readonly revision: number
}

/** One round; the first of a process only looks. */
export const compactRound = async (
  connection: Connection,
  figures: Figures,
  { turn, revision }: Round
): Promise<Round> => {
  const answer = await figures.time("compactor's turn", () =>
    connection.txn({
      compare: [
        {
          result: CompareResult.Equal,
          target: CompareTarget.Version,
          key: compactRevKey,
          rangeEnd: emptyBytes,
          targetUnion: { kind: "version", number: turn }
        }
      ],
      success: [putOp(compactRevKey, Buffer.from(String(revision)))],
      failure: [rangeOp(compactRevKey)]
    })
  )
  const now = answer.header!.revision
  if (!answer.succeeded) {
    figures.count("compactor's turn lost")
    const op = answer.responses[0]
    if (op?.kind !== "range") throw new Error("a lost turn of the compactor has no range in its answer")
    // The apiserver looks at the first key without asking whether it is there.
    return { turn: op.range.kvs[0]!.version, revision: now }
  }
  if (revision > 0) await figures.time("compact", () => connection.compact(revision))
  return { turn: turn + 1, revision: now }
}

/** The last revision that a compactor has agreed on. */
export const compactedRevision = async (connection: Connection): Promise<number> => {
  const answer = await connection.range(rangeOf(compactRevKey))
  return Number(answer.kvs[0] === undefined ? "0" : textOf(answer.kvs[0].value))
}
