import { assert, describe, it } from "@effect/vitest"
import { type ChunkInfo, findPath, type SnapshotInfo, type TermRun } from "../../src/core/log/history.ts"
import { seeded } from "../datafile/support.ts"
import { grow } from "./branches.ts"

/** Terms of the entries, first one at `first`. */
const chunk = (first: number, terms: ReadonlyArray<number>, prevTerm: number, stored = first - 1): ChunkInfo => {
  const runs: Array<TermRun> = []
  terms.forEach((term, i) => {
    if (runs[runs.length - 1]?.term !== term) runs.push({ fromIndex: first + i, term })
  })
  const lastIndex = first + terms.length - 1
  return { key: `chunks/${lastIndex}`, firstIndex: first, lastIndex, runs, prevTerm, stored }
}
const snapshot = (lastIndex: number, lastTerm: number): SnapshotInfo => ({
  key: `snapshots/${lastIndex}`,
  lastIndex,
  lastTerm
})

const shape = (chunks: ReadonlyArray<ChunkInfo>, snapshots: ReadonlyArray<SnapshotInfo> = []) => {
  const found = findPath(chunks, snapshots)
  if (found.kind === "broken") return `broken at ${found.at}`
  if (found.kind === "nothing") return "nothing"
  const parts = found.slices.map((s) => `${s.chunk.key}[${s.from}-${s.to}]`)
  return [found.snapshot?.key ?? "start", ...parts].join(" ")
}

describe("the path through the bucket", () => {
  it("of an empty bucket is nothing", () => {
    assert.strictEqual(shape([]), "nothing")
  })

  it("leads over adjacent chunks to index 1", () => {
    assert.strictEqual(
      shape([chunk(3, [1, 2], 1), chunk(1, [1, 1], 0), chunk(5, [2], 2)]),
      "start chunks/2[1-2] chunks/4[3-4] chunks/5[5-5]"
    )
  })

  it("ends at the newest snapshot on it", () => {
    const chunks = [chunk(1, [1, 1], 0), chunk(3, [1, 1], 1), chunk(5, [2], 1)]
    assert.strictEqual(shape(chunks, [snapshot(2, 1), snapshot(4, 1)]), "snapshots/4 chunks/5[5-5]")
  })

  it("starts inside a chunk where a snapshot ends there", () => {
    assert.strictEqual(shape([chunk(1, [1, 1, 1, 2, 2], 0)], [snapshot(3, 1)]), "snapshots/3 chunks/5[4-5]")
  })

  it("does not take a snapshot of another branch", () => {
    assert.strictEqual(
      shape([chunk(1, [1, 1], 0), chunk(3, [3], 1)], [snapshot(2, 2)]),
      "start chunks/2[1-2] chunks/3[3-3]"
    )
  })

  it("goes through overlapping chunks", () => {
    const chunks = [chunk(1, [1, 1, 1, 1], 0), chunk(3, [1, 2], 1), { ...chunk(3, [1, 2, 2], 1), key: "chunks/5" }]
    assert.strictEqual(shape([chunks[0]!, chunks[2]!]), "start chunks/4[1-2] chunks/5[3-5]")
  })

  it("chooses the tip with the higher term, not the longer one", () => {
    assert.strictEqual(
      shape([chunk(1, [1], 0), chunk(2, [1, 1, 1], 1), { ...chunk(2, [2], 1), key: "chunks/x" }]),
      "start chunks/1[1-1] chunks/x[2-2]"
    )
  })

  it("passes over a PUT that landed without its predecessor", () => {
    const found = findPath([chunk(1, [1], 0), chunk(4, [1], 1, 1)], [])
    assert.isTrue(found.kind === "path" && found.last.index === 1)
    assert.deepStrictEqual(found.kind === "path" && found.skipped, [
      { key: "chunks/4", tip: { index: 4, term: 1 }, brokenAt: 3 }
    ])
  })

  it("is broken where something that was known to be stored is gone", () => {
    assert.strictEqual(shape([chunk(1, [1], 0), chunk(4, [1], 1, 3)]), "broken at 3")
    assert.strictEqual(shape([chunk(1, [1], 0), chunk(3, [2], 2, 2)]), "broken at 2")
  })

  it("of a bucket of Netsy 1.x of which nothing hangs together is broken, not empty", () => {
    assert.strictEqual(shape([chunk(3, [0], 0, 0), chunk(4, [0], 0, 0)]), "broken at 2")
  })

  it("of a Netsy 1.x bucket goes on with chunks of a term", () => {
    const old = [chunk(5, [0], 0, 0), chunk(6, [0, 0], 0, 0)]
    assert.strictEqual(
      shape([...old, chunk(8, [1, 1], 0)], [snapshot(4, 0)]),
      "snapshots/4 chunks/5[5-5] chunks/7[6-7] chunks/9[8-9]"
    )
  })
})

describe("the path through random branches", () => {
  it("is the one that the design's model finds, entry by entry, and holds what was known to be stored", () => {
    let skipped = 0
    let withSnapshot = 0
    for (let seed = 1; seed <= 4000; seed++) {
      const { chunks, snapshots, bucket, lost } = grow(seeded(seed))
      assert.strictEqual(lost, 0, `seed ${seed}`)
      const infos = [...chunks].map(([, c]) => chunk(c.first, c.terms, c.prevTerm, c.stored))
      const found = findPath(
        infos,
        [...snapshots].map(([end, log]) => snapshot(end, log[end - 1]!))
      )
      if (found.kind !== "path") {
        assert.deepStrictEqual([found.kind, bucket], ["nothing", []], `seed ${seed}`)
        continue
      }
      skipped += found.skipped.length
      if (found.snapshot !== undefined) withSnapshot++
      const log = found.snapshot === undefined ? [] : [...snapshots.get(found.snapshot.lastIndex)!]
      for (const { chunk: c, from, to } of found.slices) {
        assert.strictEqual(from, log.length + 1, `seed ${seed}: a slice begins where the one before ends`)
        const terms = chunks.get(c.lastIndex)!
        for (let i = from; i <= to; i++) log.push(terms.terms[i - c.firstIndex]!)
      }
      assert.deepStrictEqual(log, bucket, `seed ${seed}`)
      assert.deepStrictEqual(found.last, { index: log.length, term: log[log.length - 1]! })
    }
    assert.isAbove(skipped, 100)
    assert.isAbove(withSnapshot, 100)
  })
})
