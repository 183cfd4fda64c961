import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Batch, type Chunk, Pipeline } from "../../src/core/log/pipeline.ts"
import { emptyBytes, type Entry, type LogRecord } from "../../src/core/log/record.ts"
import { WaiterQueue } from "../../src/core/log/waiters.ts"

const entry = (index: number, term = 1): Entry => ({
  index,
  term,
  revision: index,
  records: [{ index, term, revision: index, key: emptyBytes, value: emptyBytes } as LogRecord]
})

const limits = {
  batchBytesMax: 30,
  batchEntriesMax: 3,
  putsInFlightMax: 2,
  inFlightBytesMax: 100,
  tailBytesMax: 40
}
const at5 = { index: 5, term: 1 }
const start = { head: at5, committed: at5, uncommitted: [], storedIndex: 5 }
const size = (): number => 10
const make = (more: Partial<typeof limits> = {}): Pipeline => new Pipeline(start, size, { ...limits, ...more })
const ends = (batch: Batch | undefined) => [batch?.first, batch?.last, batch?.prevTerm]

describe("the pipeline", () => {
  it("closes a batch after the entry that passes a limit and keeps the rest open", () => {
    const p = make()
    for (let i = 6; i <= 10; i++) p.append(entry(i))
    assert.isTrue(p.isFull())
    assert.deepStrictEqual(ends(p.close()), [6, 8, 1])
    assert.deepStrictEqual(ends(p.close()), [9, 10, 1])
    assert.isUndefined(p.close())
  })

  it("moves the stored index in order although the second PUT is known first", () => {
    const p = make()
    p.append(entry(6))
    p.close()
    const a = p.nextChunk(6)!
    p.append(entry(7))
    p.close()
    const b = p.nextChunk(7)!
    assert.isUndefined(p.nextChunk(7), "nothing is left, and no PUT is free")
    p.stored(b)
    assert.strictEqual(p.storedIndex, 5)
    p.stored(a)
    assert.strictEqual(p.storedIndex, 7)
  })

  it("puts committed batches together in one chunk, up to the limit it is given", () => {
    const p = make()
    for (let i = 6; i <= 8; i++) {
      p.append(entry(i))
      p.close()
    }
    p.persisted(8)
    p.commit(7)
    assert.strictEqual(p.bufferedBytes, 20)
    const chunk = p.nextChunk(p.commitIndex)!
    assert.deepStrictEqual(ends(chunk), [6, 7, 1])
    p.stored(chunk)
    assert.strictEqual(p.bufferedBytes, 0)
  })

  it("has no room above its limit of bytes in flight until something is committed", () => {
    const p = make()
    for (let i = 6; i <= 15; i++) p.append(entry(i))
    assert.isFalse(p.hasRoom())
    p.close()
    p.persisted(8)
    p.commit(8)
    assert.isTrue(p.hasRoom())
  })

  it("keeps a tail for replicas and lets go of older entries that everybody has", () => {
    const p = make()
    p.followed()
    for (let i = 6; i <= 12; i++) {
      p.append(entry(i, i < 9 ? 1 : 2))
      p.close()
      const chunk = p.nextChunk(i)!
      p.persisted(i)
      p.commit(i)
      p.stored(chunk)
    }
    assert.strictEqual(p.firstInMemory, 9)
    assert.strictEqual(p.termAt(8), 1)
    assert.strictEqual(p.termAt(9), 2)
    assert.isUndefined(p.termAt(7))
    assert.isUndefined(p.after(7), "read from the disk")
    assert.deepStrictEqual(ends(p.after(8)), [9, 11, 1])
    assert.isUndefined(p.after(12))
  })

  it("keeps no entry that is stored and committed while nobody follows", () => {
    const p = make()
    for (let i = 6; i <= 9; i++) {
      p.append(entry(i))
      p.close()
      const chunk = p.nextChunk(i)!
      p.persisted(i)
      p.stored(chunk)
      assert.strictEqual(p.firstInMemory, i)
      p.commit(i)
      assert.strictEqual(p.firstInMemory, i + 1)
      assert.strictEqual(p.termAt(i), 1)
    }
  })

  it("hands out everything from an entry to the head for a chunk that has to end elsewhere", () => {
    const p = make()
    p.append(entry(6))
    p.close()
    p.append(entry(7))
    p.append(entry(8))
    assert.deepStrictEqual(
      p.entriesFrom(6, 8).map((e) => e.index),
      [6, 7, 8]
    )
  })

  it("refuses a gap, a lower term and a commit of what is not on the disk", () => {
    const p = make()
    assert.throws(() => p.append(entry(7)), /does not follow/)
    assert.throws(() => p.append(entry(6, 0)), /lower term/)
    p.append(entry(6))
    assert.throws(() => p.commit(6), /before it is on the disk/)
  })

  const Op = Schema.Literals(["append", "close", "send", "store", "persist", "commit"])
  it.effect.prop(
    "holds every entry until it is committed, on the disk and in the bucket, and counts its bytes right",
    [Schema.Array(Schema.Tuple([Op, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))]))],
    ([ops]) =>
      Effect.sync(() => {
        const p = make({ inFlightBytesMax: 1e9, tailBytesMax: 0 })
        const stored = new Set<number>()
        const sent: Array<Chunk> = []
        for (const [op, n] of ops) {
          if (op === "append") p.append(entry(p.headIndex + 1))
          else if (op === "close") p.close()
          else if (op === "send") {
            const chunk = p.nextChunk(n < 2 ? p.commitIndex : p.closedIndex)
            if (chunk !== undefined) sent.push(chunk)
          } else if (op === "store" && sent.length > 0) {
            const [chunk] = sent.splice(n % sent.length, 1)
            p.stored(chunk!)
            for (const e of chunk!.entries) stored.add(e.index)
          } else if (op === "persist" && p.persistedIndex < p.closedIndex) {
            p.persisted(Math.min(p.closedIndex, p.persistedIndex + 1 + n))
          } else if (op === "commit") p.commit(Math.min(p.persistedIndex, p.commitIndex + n))
          let contiguous = 5
          while (stored.has(contiguous + 1)) contiguous++
          assert.strictEqual(p.storedIndex, contiguous)
          assert.strictEqual(p.inFlightBytes, 10 * (p.headIndex - p.commitIndex))
          assert.strictEqual(p.bufferedBytes, 10 * Math.max(0, p.commitIndex - p.storedIndex))
          assert.strictEqual(p.firstInMemory, Math.min(p.storedIndex, p.persistedIndex, p.commitIndex) + 1)
        }
      }),
    { arbitrary: { runs: 300, seed: "pipeline" } }
  )
})

describe("waiters", () => {
  const log: Array<string> = []
  const waiter = (name: string) => ({
    done: () => void log.push(`${name} done`),
    failed: (e: { message: string }) => void log.push(`${name} ${e.message}`)
  })

  it("are told in order, once, and fail when their time is over", () => {
    const queue = new WaiterQueue()
    queue.push(1, 100, waiter("a"))
    queue.push(1, 110, waiter("b"))
    queue.push(3, 120, waiter("c"))
    queue.push(4, 130, waiter("d"))
    assert.strictEqual(queue.expire(115, { _tag: "EtcdError", code: 14, message: "late" }), 2)
    queue.complete(3)
    queue.failAll({ _tag: "EtcdError", code: 14, message: "stopped" })
    assert.deepStrictEqual(log, ["a late", "b late", "c done", "d stopped"])
    assert.strictEqual(queue.size, 0)
    assert.throws(() => {
      queue.push(9, 1, waiter("e"))
      queue.push(8, 1, waiter("f"))
    }, /ascending/)
  })
})
